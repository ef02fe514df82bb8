// What makes guessing slow for the guesser, and for nobody else. Pure: time is passed in.

package api

import (
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/farend/listener"
)

const (
	// guessesFree wrong keys may come from a network without a pause: somebody mistypes, or a program
	// still has the key of yesterday.
	guessesFree = 10
	// guessPause is then between two: 1,440 guesses a day, at keys of 256 bits.
	guessPause = time.Minute
	// networksMax bounds the memory to about 200 kB. Further networks share one place.
	networksMax = 1000
	// knownMax bounds the keys that are remembered as right.
	knownMax = 10_000
)

// guesses count wrong keys by network: an IPv4 address, or an IPv6 network of 64 bits. A key that was right
// before is never made to wait, wherever it comes from: whoever shares a router with a guesser goes on. It
// is looked up each time all the same. The zero value is ready.
type guesses struct {
	of    map[netip.Prefix]*guesser
	crowd guesser
	known map[string]struct{} // hashes
}

// A guesser is a network. left fills up with time.
type guesser struct {
	used float64 // of guessesFree
	at   time.Time
}

// begin counts a key as wrong until takeBack, so that many at once are not one; a known key is not counted.
// wait > 0: it must not be looked at.
func (g *guesses) begin(from netip.Addr, hash string, now time.Time) (counted bool, wait time.Duration) {
	if _, ok := g.known[hash]; ok {
		return false, 0
	}
	one := g.guesserOf(listener.NetworkOf(from), now)
	one.rest(now)
	if over := one.used + 1 - guessesFree; over > 0 {
		return false, time.Duration(over * float64(guessPause))
	}
	one.used++
	return true, 0
}

// right remembers a key.
func (g *guesses) right(hash string) {
	if _, ok := g.known[hash]; ok {
		return
	}
	if len(g.known) >= knownMax || g.known == nil {
		g.known = map[string]struct{}{}
	}
	g.known[hash] = struct{}{}
}

// takeBack makes what begin counted not count.
func (g *guesses) takeBack(from netip.Addr, now time.Time) {
	one := g.guesserOf(listener.NetworkOf(from), now)
	one.used = max(one.used-1, 0)
}

func (one *guesser) rest(now time.Time) {
	if elapsed := now.Sub(one.at); elapsed > 0 {
		one.used = max(0, one.used-float64(elapsed)/float64(guessPause))
	}
	one.at = now
}

// guesserOf finds a network's place, or makes one.
func (g *guesses) guesserOf(network netip.Prefix, now time.Time) *guesser {
	if one := g.of[network]; one != nil {
		return one
	}
	if len(g.of) >= networksMax {
		for network, one := range g.of { // those that are as good as new
			if one.rest(now); one.used == 0 {
				delete(g.of, network)
			}
		}
	}
	if len(g.of) >= networksMax {
		return &g.crowd
	}
	if g.of == nil {
		g.of = map[netip.Prefix]*guesser{}
	}
	one := &guesser{at: now}
	g.of[network] = one
	return one
}
