// Requests for key frames on their way back to the sources.

package forward

import (
	"context"
	"time"
)

// keyFrameInterval is the least time between two requests for one stream. One that comes earlier is
// made when it is over: it may be of a viewer whom the last key frame did not reach.
const keyFrameInterval = 500 * time.Millisecond

// keyFrameRequests take requests from any goroutine and make them in one.
type keyFrameRequests struct {
	in      chan string
	request func(streamID string)
}

func newKeyFrameRequests(request func(streamID string)) *keyFrameRequests {
	return &keyFrameRequests{in: make(chan string, 1024), request: request}
}

// add never blocks: what does not fit is dropped, and receivers ask again.
func (k *keyFrameRequests) add(streamID string) {
	select {
	case k.in <- streamID:
	default:
	}
}

// A rest is the time after a request in which no other is made.
type rest struct {
	until time.Time
	again bool // one came meanwhile
}

func (k *keyFrameRequests) run(ctx context.Context) {
	rests := map[string]*rest{}
	tick := time.NewTicker(keyFrameInterval / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-k.in:
			if r := rests[id]; r != nil {
				r.again = true
				continue
			}
			rests[id] = &rest{until: time.Now().Add(keyFrameInterval)}
			k.request(id)
		case now := <-tick.C:
			for id, r := range rests {
				k.endRest(rests, id, r, now)
			}
		}
	}
}

// endRest makes the request that came in a rest, once that is over.
func (k *keyFrameRequests) endRest(rests map[string]*rest, id string, r *rest, now time.Time) {
	switch {
	case now.Before(r.until):
	case r.again:
		rests[id] = &rest{until: now.Add(keyFrameInterval)}
		k.request(id)
	default:
		delete(rests, id)
	}
}
