// What keeps one who asks too much from filling file and log. Pure: time is passed in.

package single

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"time"
)

// New ids: a board asks for one in its life. A bench that flashes a box of boards behind one
// address gets 60 at once.
const (
	idsOfAddressBurst    = 60
	idsOfAddressInterval = 5 * time.Second
	idsOfAllBurst        = 200
	idsOfAllInterval     = time.Second

	// bucketsMax bounds the addresses that are told apart. An attacker's further ones share what
	// is left for all.
	bucketsMax = 1000
)

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

// An idLimit says whether an address may have a new id. The zero value is ready.
type idLimit struct {
	all bucket
	of  map[netip.Prefix]*bucket
}

func (l *idLimit) take(from netip.Addr, now time.Time) bool {
	one := l.bucketOf(networkOf(from), now)
	return (one == nil || one.take(idsOfAddressBurst, idsOfAddressInterval, now)) &&
		l.all.take(idsOfAllBurst, idsOfAllInterval, now)
}

// bucketOf finds an address's bucket, or makes one; nil: there are too many.
func (l *idLimit) bucketOf(from netip.Prefix, now time.Time) *bucket {
	if one := l.of[from]; one != nil {
		return one
	}
	if len(l.of) >= bucketsMax {
		maps.DeleteFunc(l.of, func(_ netip.Prefix, b *bucket) bool { // those that are full again
			return now.Sub(b.at) >= idsOfAddressBurst*idsOfAddressInterval
		})
	}
	if len(l.of) >= bucketsMax {
		return nil
	}
	if l.of == nil {
		l.of = map[netip.Prefix]*bucket{}
	}
	l.of[from] = &bucket{at: now}
	return l.of[from]
}

// networkOf is what one host has: an IPv4 address, or an IPv6 network of 64 bits.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // not valid for an address that is not
	return p
}

// Lines of the log.
const (
	quietInterval = 30 * time.Second
	// sayingsMax bounds the log: so many lines in quietInterval.
	sayingsMax = 64
	// wordsMax is what is logged of a stranger's words, in bytes.
	wordsMax = 40
)

// A quietLog says the same of the same host as often as it may in quietInterval, and then how often
// it was meanwhile. It is not safe for use by several goroutines.
type quietLog struct {
	log  *slog.Logger
	said map[saying]*echoes
}

// A saying is what counts as the same.
type saying struct {
	message string
	code    int
	from    netip.Prefix
	often   int // lines in quietInterval; 0: one
}

type echoes struct {
	at     time.Time // of the first line
	lines  int
	unsaid int
	level  slog.Level
	args   []any
}

func (q *quietLog) say(level slog.Level, s saying, now time.Time, args ...any) {
	if len(q.said) >= sayingsMax && q.said[s] == nil {
		s = saying{message: "gateway: more of others"} // said as one
	}
	e := q.said[s]
	if e == nil {
		e = &echoes{at: now}
		if q.said == nil {
			q.said = map[saying]*echoes{}
		}
		q.said[s] = e
	}
	if now.Sub(e.at).Abs() >= quietInterval {
		e.at, e.lines = now, 0
	}
	if e.lines >= max(s.often, 1) {
		e.unsaid, e.level, e.args = e.unsaid+1, level, args
		return
	}
	e.lines++
	q.log.Log(context.Background(), level, s.message, q.count(e, args)...)
	e.unsaid = 0
}

func (q *quietLog) count(e *echoes, args []any) []any {
	if e.unsaid > 0 {
		args = append(args, "times_since", e.unsaid)
	}
	return args
}

// flush says what was not said yet, and forgets what is over.
func (q *quietLog) flush(now time.Time) {
	for s, e := range q.said {
		if now.Sub(e.at).Abs() < quietInterval {
			continue
		}
		delete(q.said, s)
		if e.unsaid > 0 {
			q.log.Log(context.Background(), e.level, s.message, q.count(e, e.args)...)
		}
	}
}

// clip shortens a stranger's words.
func clip(words string) string {
	if len(words) <= wordsMax {
		return words
	}
	return words[:wordsMax] + "…"
}
