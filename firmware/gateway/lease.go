// The lease: a grant holds only as long as the gateway keeps saying that it
// captures the stream.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// Packets need a moment to become frames at the server; asked at once it
	// would only say no.
	firstValidation = time.Second
	// A server that got a key frame and does not capture after five tries with
	// growing pauses (about half a minute) does not get better by waiting.
	validationTries = 5
	// Where the sender has its own doubts, one key frame and one more try will do.
	doubtfulTries = 1
	// Periods without a good answer until a source falls silent.
	leasePeriods = 3
)

// lease validates until the lease is lost, and says why. Without a good answer for
// three periods the receiver's address may belong to somebody else by now.
func (s *Session) lease(ctx context.Context, g Grant, stream Stream) error {
	good := s.clock.Now()
	left := func() time.Duration { return leasePeriods*g.KeepAlive - s.clock.Now().Sub(good) }
	wait, tries, most, last := firstValidation, 0, validationTries, error(nil)
	for {
		if s.rest(ctx, min(wait, max(left(), 0)), shortestPause, last == nil) {
			most = doubtfulTries
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if left() <= 0 {
			return fmt.Errorf("gateway: no good answer for %d periods of %v: %w", leasePeriods, g.KeepAlive, last)
		}
		last = s.validate(ctx, g, left())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case last == nil:
			good, wait, tries, most = s.clock.Now(), g.KeepAlive, 0, validationTries
			s.captured()
			continue
		case endsLease(last):
			return last
		case errors.Is(last, ErrUncaptured):
			if tries++; tries > most {
				return last
			}
			s.phase(PhaseValidating)
			stream.KeyFrame()
		}
		s.trouble(last)
		wait = s.backoff.next(false, s.random())
	}
}

// validate asks once; nil means that the server captures the stream. A gateway
// that never answers cannot stretch the lease.
func (s *Session) validate(ctx context.Context, g Grant, left time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	v, err := s.asker.ValidateStream(limited, g.Utilization)
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

// endsLease tells a plain no from a failure to answer: a gateway that revokes the
// key or the id, or says that nothing runs, has taken the grant back.
func endsLease(err error) bool {
	var refusal *wire.Refusal
	return errors.As(err, &refusal) && refusal.Code/1000 == 4 && refusal.Code != wire.CodeNotReceived
}
