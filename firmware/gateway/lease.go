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
	// growing pauses (about half a minute) does not get better by waiting.
	uncapturedTriesMax = 5

	// Where the sender doubts, too, that the receiver is there, one key frame and one more
	// try are enough.
	doubtedTriesMax = 1

	// After so many periods without a good answer a source falls silent.
	leasePeriods = 3
)

// holdLease validates until the lease is lost, and returns why. Without a good answer for
// three periods the receiver's address may belong to somebody else by now.
func (s *Session) holdLease(ctx context.Context, g Grant, stream Stream) error {
	lastGood := s.clock.Now()
	left := func() time.Duration { return leasePeriods*g.KeepAlive - s.clock.Now().Sub(lastGood) }
	pause, tries, triesMax, last := firstValidationDelay, 0, uncapturedTriesMax, error(nil)
	for {
		if s.pauseFor(ctx, min(pause, max(left(), 0)), retryPauseMin, last == nil) {
			triesMax = doubtedTriesMax
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if left() <= 0 {
			return fmt.Errorf("gateway: no good answer for %d periods of %v: %w", leasePeriods, g.KeepAlive, last)
		}
		last = s.validateOnce(ctx, g, left())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case last == nil:
			lastGood, pause, tries, triesMax = s.clock.Now(), g.KeepAlive, 0, uncapturedTriesMax
			s.noteCaptured()
			continue
		case endsLease(last):
			return last
		case errors.Is(last, ErrUncaptured):
			if tries++; tries > triesMax {
				return last
			}
			s.setPhase(PhaseValidating)
			stream.KeyFrame()
		}
		s.noteTrouble(last)
		pause = s.backoff.nextPause(false, s.random())
	}
}

// validateOnce asks once; nil means that the server captures the stream. It waits no longer
// than the rest of the lease, so that a gateway that never answers cannot stretch it.
func (s *Session) validateOnce(ctx context.Context, g Grant, left time.Duration) error {
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

// endsLease tells a plain no from a failure to answer: a gateway that revokes the key or the
// id, or says that nothing runs, has taken the grant back.
func endsLease(err error) bool {
	var refusal *wire.Refusal
	return errors.As(err, &refusal) && refusal.Code/1000 == 4 && refusal.Code != wire.CodeNotReceived
}
