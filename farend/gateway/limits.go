// What keeps one who asks too much from the others. Time is passed in.

package gateway

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/listener"
)

// New ids: a board asks for one in its life. A bench that flashes a box of boards behind one
// address gets 60 at once.
const (
	idsOfAddressBurst    = 60
	idsOfAddressInterval = 5 * time.Second
	idsOfAllBurst        = 2000
	idsOfAllInterval     = 100 * time.Millisecond
)

// Wrong keys: whoever mistypes one corrects it a few times. A key has 128 bits, one that a person chose
// has fewer: at one guess in 2 s, a thousand words take half an hour, and a million 23 days.
const (
	keyGuessBurst      = 20
	keyGuessInterval   = 2 * time.Second
	adminGuessBurst    = 5
	adminGuessInterval = 10 * time.Second

	// goodMax bounds the keys that are known to be right, and from where.
	goodMax = 10_000
)

// bucketsMax bounds the networks that are told apart. An attacker's further ones share one bucket.
const bucketsMax = 10_000

// sweepInterval keeps a flood from many addresses from having all buckets looked at for each of them.
const sweepInterval = time.Second

// A bucket holds what may still be had, and fills with time. The zero value is full.
type bucket struct {
	taken float64
	at    time.Time
}

// take takes one if there is one; burst is what the bucket holds, interval fills one in.
func (b *bucket) take(burst int, interval time.Duration, now time.Time) bool {
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.taken = max(0, b.taken-float64(elapsed)/float64(interval))
	}
	b.at = now
	if b.taken+1 > float64(burst) {
		return false
	}
	b.taken++
	return true
}

// buckets has one for each network.
type buckets struct {
	of     map[netip.Prefix]*bucket
	others bucket    // shared by those beyond bucketsMax
	swept  time.Time // when those that were full again were last looked for
}

// find finds an address's bucket, or makes one. full is how long one takes to fill.
func (l *buckets) find(from netip.Addr, full time.Duration, now time.Time) *bucket {
	network := listener.NetworkOf(from)
	if one := l.of[network]; one != nil {
		return one
	}
	if len(l.of) >= bucketsMax && now.Sub(l.swept).Abs() >= sweepInterval {
		l.swept = now
		maps.DeleteFunc(l.of, func(_ netip.Prefix, b *bucket) bool { return now.Sub(b.at) >= full })
	}
	if len(l.of) >= bucketsMax {
		return &l.others
	}
	if l.of == nil {
		l.of = map[netip.Prefix]*bucket{}
	}
	l.of[network] = &bucket{at: now}
	return l.of[network]
}

// An idLimit says whether an address may have a new id. The zero value is ready.
type idLimit struct {
	mu      sync.Mutex
	all     bucket
	buckets buckets
}

func (l *idLimit) take(from netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.buckets.find(from, idsOfAddressBurst*idsOfAddressInterval, now)
	return one.take(idsOfAddressBurst, idsOfAddressInterval, now) && l.all.take(idsOfAllBurst, idsOfAllInterval, now)
}

// A guessLimit slows those who guess secrets. A right one that its owner uses from a network is known
// there: whoever guesses beside it slows himself only.
type guessLimit struct {
	burst    int
	interval time.Duration

	mu      sync.Mutex
	buckets buckets
	good    map[known]bool
}

// known is a secret that was right, by its hash, and the network from which it came.
type known struct {
	from   netip.Prefix
	secret string
}

// judge says whether a secret may be judged: right or wrong is not said to a network that has guessed too
// often, unless it is known there.
func (l *guessLimit) judge(from netip.Addr, hash string, isRight bool, now time.Time) (may bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := known{listener.NetworkOf(from), hash}
	if isRight && l.good[one] {
		return true
	}
	b := l.buckets.find(from, time.Duration(l.burst)*l.interval, now)
	if !b.take(l.burst, l.interval, now) {
		return false
	}
	if isRight {
		b.taken-- // it was no guess
		l.remember(one)
	}
	return true
}

func (l *guessLimit) remember(one known) {
	if l.good == nil || len(l.good) >= goodMax {
		l.good = map[known]bool{} // the next use of each puts it back
	}
	l.good[one] = true
}

// learn notes that a secret is right, whose owner has shown that in another way.
func (l *guessLimit) learn(from netip.Addr, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(known{listener.NetworkOf(from), hash})
}
