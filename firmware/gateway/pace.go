// When a request may leave: the one place that every request passes, whatever it is for.

package gateway

import (
	"errors"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// requestGap is the time between two requests: from the end of one, so that the gateway, too,
// sees it, whatever the way there costs.
const requestGap = time.Second

// A request that never left this machine costs nobody anything, so it is repeated soon: a board
// starts before DHCP has an address and reaches nobody, and a pause of a second would delay its
// first picture by most of that. Wake comes with the first address and route; what is still
// missing then is a name server, which DHCP writes down a moment later.
const (
	unsentPause     = 250 * time.Millisecond
	unsentPauseWake = 20 * time.Millisecond // after Wake
	unsentTriesMax  = 120                   // 30 s; then the backoff counts, which Wake ends
)

// A pace spaces the requests of one source, through all its sessions: a camera that comes and
// goes begins one each time. Its zero value is ready.
//
// What the gateway sees, whatever happens:
//
//	A second passes between a request and the next. There are two exceptions: start_stream
//	follows the new_utilization_id that it needs at once, and stop_stream at the end of a session
//	waits for nothing. Either is paid back: the next request waits a second more. So in t
//	seconds there are at most t + 3 requests.
//
//	Attempts to stream that fail, or whose stream does not last, are further and further apart,
//	up to one a minute. Only news of the network brings the next one forward, and only as often
//	as newsBudget says.
type pace struct {
	backoff backoff
	news    newsBudget
	unsent  int // requests in a row that never left this machine

	free   time.Time // when the next request may leave
	held   time.Time // until then the gateway wants none (Retry-After)
	madeID bool      // the last request brought a new utilization id

	// When the next step is due, an attempt or a validation, and how soon news may make it.
	due, soonest time.Time
	newsIsFree   bool // the last request never left
}

// turnIn is how long a request for action must wait.
func (p *pace) turnIn(action string, now time.Time) time.Duration {
	at := p.free
	if p.madeID && action == wire.ActionStartStream {
		at = now
	}
	if p.held.After(at) {
		at = p.held
	}
	return at.Sub(now)
}

// noteRequest takes the end, at now, of a request for action.
func (p *pace) noteRequest(action string, err error, now time.Time) {
	if neverSent(err) {
		return
	}
	p.unsent = 0
	if p.free.Before(now) { // otherwise it did not wait for its turn, and the next one pays
		p.free = now
	}
	p.free = p.free.Add(requestGap)
	p.madeID = err == nil && action == wire.ActionNewUtilizationID
	if after := retryAfter(err); after > 0 {
		p.held = now.Add(after)
	}
}

// planRetry sets when the next step is due after one that ended at now with err. unsent says that
// it cost nobody a request.
func (p *pace) planRetry(err error, unsent bool, now time.Time, random float64) {
	p.newsIsFree = unsent
	if unsent {
		if p.unsent++; p.unsent <= unsentTriesMax {
			p.plan(now.Add(unsentPause), now.Add(unsentPauseWake))
			return
		}
	}
	p.plan(now.Add(p.backoff.nextPause(needsOwner(err), random)), now.Add(requestGap))
}

// planNext sets when the next step is due after one that went well.
func (p *pace) planNext(now time.Time, in time.Duration) {
	p.newsIsFree = false
	p.plan(now.Add(in), now.Add(requestGap))
}

// plan keeps the gateway's own word (Retry-After), whatever happens to the network.
func (p *pace) plan(due, soonest time.Time) {
	p.due, p.soonest = later(due, p.held), later(soonest, p.held)
}

// takeNews makes the next step due as soon as it may be, if news still count.
func (p *pace) takeNews(now time.Time) {
	switch {
	case p.newsIsFree:
		p.unsent = 0
	case p.news.take(now):
		p.backoff = backoff{}
	default:
		return
	}
	if p.soonest.Before(p.due) {
		p.due = p.soonest
	}
}

// confirm takes the gateway's word, at now, that it captures the stream that began at begun. One
// that lasts as long as the longest pause ends the row of failures; so streams that end as soon as
// they began are further and further apart, too.
func (p *pace) confirm(begun, now time.Time) (lasts bool) {
	if now.Sub(begun) < retryPauseMax {
		return false
	}
	p.backoff = backoff{}
	return true
}

// neverSent says that the kernel had nowhere to send a request to the gateway. It is about that
// alone: where a receiver has no route, the gateway has been asked already.
func neverSent(err error) bool { return errors.Is(err, errNeverSent) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
