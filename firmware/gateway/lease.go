// The lease: a grant holds only as long as the gateway keeps saying that it captures the
// stream.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// The server needs a moment to make frames of packets; asked at once, it would say no.
	firstValidationDelay = time.Second

	// A server that was sent key frames and still captures nothing after five tries with
	// growing pauses (about a minute) does not get better by waiting.
	uncapturedTriesMax = 5

	// Where the sender doubts, too, that the receiver is there, one key frame and one more
	// try are enough.
	doubtedTriesMax = 1

	// A doubt counts at once. While the gateway contradicts, the next one counts after 5 s, 10 s
	// and so on up to the lease's period: a receiver that nobody hears may doubt for ever.
	doubtPause = 5 * time.Second

	// After so many periods without a good answer a source falls silent.
	leasePeriods = 3
)

// A lease is what holdLease knows of the one that it holds.
type lease struct {
	Grant
	begun, lastGood time.Time
	last            error // of the last validation
	tries, triesMax int   // validations in a row that said "not captured", and how many may
	denied          int   // doubts in a row that the gateway contradicted
	doubtDue        time.Time
}

// holdLease validates until the lease is lost, and returns why. Without a good answer for
// three periods the receiver's address may belong to somebody else by now.
func (s *Session) holdLease(ctx context.Context, g Grant, stream Stream) error {
	now := s.clock.Now()
	l := &lease{Grant: g, begun: now, lastGood: now, triesMax: uncapturedTriesMax}
	s.pace.planNext(now, firstValidationDelay)
	for {
		doubted := s.awaitValidation(ctx, l)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		left := l.left(s.clock.Now())
		if left <= 0 {
			return fmt.Errorf("gateway: no good answer for %d periods of %v: %w", leasePeriods, l.KeepAlive, l.last)
		}
		l.last = s.validateOnce(ctx, g, left)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case l.last == nil:
			s.noteGood(l, doubted)
			continue
		case endsLease(l.last):
			return l.last
		case errors.Is(l.last, ErrUncaptured):
			if l.tries++; l.tries > l.triesMax {
				return l.last
			}
			s.setPhase(PhaseValidating)
			stream.KeyFrame()
		}
		s.noteTrouble(l.last)
		s.pace.planRetry(l.last, neverSent(l.last), s.clock.Now(), s.random())
	}
}

// left is what is left of the lease.
func (l *lease) left(now time.Time) time.Duration {
	return l.lastGood.Add(leasePeriods * l.KeepAlive).Sub(now)
}

// awaitValidation waits until the next validation is due or the lease is over. A doubt makes it
// due sooner, but not at a gateway in trouble, for then the backoff counts.
func (s *Session) awaitValidation(ctx context.Context, l *lease) (doubted bool) {
	end := l.lastGood.Add(leasePeriods * l.KeepAlive)
	s.pace.due, s.pace.soonest = earlier(s.pace.due, end), earlier(s.pace.soonest, end)
	if l.last != nil {
		s.dropDoubt()
		s.awaitDue(ctx, nil)
		return false
	}
	if s.awaitDue(ctx, &l.doubtDue) {
		l.triesMax = doubtedTriesMax
		return true
	}
	return false
}

// noteGood takes the gateway's word that it captures the stream.
func (s *Session) noteGood(l *lease, doubted bool) {
	now := s.clock.Now()
	l.lastGood, l.tries, l.triesMax = now, 0, uncapturedTriesMax
	if !doubted {
		l.denied = 0
	} else {
		l.doubtDue = now.Add(min(doubtPause<<min(l.denied, 10), l.KeepAlive))
		l.denied++
	}
	if s.pace.confirm(l.begun, now) {
		s.lasts = true
	}
	s.pace.planNext(now, l.KeepAlive)
	s.noteCaptured()
}

// validateOnce asks once; nil means that the server captures the stream. It waits no longer
// than the rest of the lease, so that a gateway that never answers cannot stretch it.
func (s *Session) validateOnce(ctx context.Context, g Grant, left time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	var v Validation
	err := s.inTurn(limited, wire.ActionValidateStream, func() (err error) {
		v, err = s.asker.ValidateStream(limited, g.Utilization)
		return err
	})
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("gateway: validate_stream: %w for the rest of the lease", ErrSilent)
	case err != nil:
		return err
	case v.Code != 0:
		return fmt.Errorf("gateway: validate_stream: %w: code %d (%q)", ErrUncaptured, v.Code, v.Text)
	}
	return nil
}

// endsLease tells a plain no from a failure to answer: a gateway that revokes the key or the id,
// says that nothing runs, or that nothing came in time, has taken the grant back.
func endsLease(err error) bool {
	var refusal *wire.Refusal
	return errors.As(err, &refusal) && refusal.Code/1000 == 4 && !refusal.IsPassing()
}
