// The log: what strangers can cause is said seldom, and counted.

package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/listener"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	quietInterval = 30 * time.Second
	// sayingsMax bounds the log: so many lines in quietInterval.
	sayingsMax = 64
	// wordsMax is what is logged of a stranger's words, in bytes.
	wordsMax = 40
	// eventsOften is more than a source that starts over has reason for in half a minute.
	eventsOften = 10
)

// A quietLog says the same of the same host as often as it may in quietInterval, and then how often
// it was meanwhile. The log is written under its lock: it calls nobody back.
type quietLog struct {
	log *slog.Logger

	mu   sync.Mutex
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
	q.mu.Lock()
	defer q.mu.Unlock()
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
	q.log.Log(context.Background(), level, s.message, e.count(args)...)
	e.unsaid = 0
}

func (e *echoes) count(args []any) []any {
	if e.unsaid > 0 {
		args = append(args, "times_since", e.unsaid)
	}
	return args
}

// flush says what was not said yet, and forgets what is over.
func (q *quietLog) flush(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s, e := range q.said {
		if now.Sub(e.at).Abs() < quietInterval {
			continue
		}
		delete(q.said, s)
		if e.unsaid > 0 {
			q.log.Log(context.Background(), e.level, s.message, e.count(e.args)...)
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

// noteRefusal logs what a source, or anybody, was refused.
func (g *Gateway) noteRefusal(c *call, why *wire.Refusal) {
	same := saying{message: "gateway: refused", code: why.Code, from: listener.NetworkOf(c.from)}
	g.quiet.say(slog.LevelWarn, same, g.config.Now(),
		"from", c.from.String(), "action", clip(c.action), "code", why.Code, "reason", why.Reason)
}

// noteFault logs an error of ours that every request may meet.
func (g *Gateway) noteFault(message string, err error) {
	g.quiet.say(slog.LevelError, saying{message: message}, g.config.Now(), "error", err)
}

// noteEvent logs what a source may cause as often as it likes.
func (g *Gateway) noteEvent(message string, from netip.Addr, id wire.ID, args ...any) {
	same := saying{message: message, from: listener.NetworkOf(from), often: eventsOften}
	g.quiet.say(slog.LevelInfo, same, g.config.Now(), append([]any{"utilization_id", id.String()}, args...)...)
}
