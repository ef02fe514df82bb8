// The session: from asking for an id to the grant, and what follows each answer.
// The lease is in lease.go. Test it with a fake Asker, Clock and Stream.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An Asker puts the four requests; *Client is one.
type Asker interface {
	NewUtilizationID(ctx context.Context) (wire.ID, error)
	StartStream(ctx context.Context, id wire.ID, width, height int) (Grant, error)
	ValidateStream(ctx context.Context, id wire.ID) (Validation, error)
	StopStream(ctx context.Context, id wire.ID) error
}

// A Stream is what a grant permits. The session calls it from one goroutine.
type Stream interface {
	// Begin starts sending to g.RTP and g.RTCP, and nowhere else, and returns once
	// it does. No packet may leave before.
	Begin(ctx context.Context, g Grant) error
	KeyFrame() // the next picture becomes a key frame
	End()      // RTCP BYE, then silence; returns when no packet will leave any more
}

// SessionConfig is what a session works with. Only Asker is required.
type SessionConfig struct {
	Asker  Asker
	Store  Store  // nil: the id is forgotten at the end
	Policy Policy // where a grant may lead
	Log    *slog.Logger
	Clock  Clock          // default SystemClock
	Random func() float64 // from 0 to 1, 1 excluded; default math/rand
}

// A Session keeps one source's permission: it asks, streams while the lease lasts,
// and asks again. Run must not be called twice at a time.
type Session struct {
	asker  Asker
	store  Store
	policy Policy
	log    *slog.Logger
	clock  Clock
	random func() float64
	wake   chan struct{}
	doubts chan struct{}

	backoff   backoff // Run's alone, as are the next five
	id        wire.ID
	open      bool // the gateway may think that our stream is active
	granted   bool // it has said so
	elsewhere bool // our own id was stopped and the stream is still active
	keys      usedKeys

	mu    sync.Mutex
	state State
}

// NewSession asks nobody yet.
func NewSession(c SessionConfig) *Session {
	s := &Session{asker: c.Asker, store: c.Store, policy: c.Policy, log: c.Log, clock: c.Clock, random: c.Random}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = SystemClock{}
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	s.wake, s.doubts = make(chan struct{}, 1), make(chan struct{}, 1)
	s.state = State{Phase: PhaseIdle, Since: s.clock.Now()}
	return s
}

// lastWords is how long stop_stream may take at the end: a source must be gone
// within 2 s of SIGTERM, BYE included.
const lastWords = 1800 * time.Millisecond

// Run asks, streams and asks again until ctx ends. Then it ends the stream, says
// stop_stream and returns within 2 s (as long as Stream.End returns at once): nil,
// or why the gateway may not know that the stream ended. Pictures are width x height.
func (s *Session) Run(ctx context.Context, width, height int, stream Stream) error {
	defer s.phase(PhaseIdle)
	s.load()
	for ctx.Err() == nil {
		s.phase(PhaseAsking)
		err := s.once(ctx, width, height, stream)
		if ctx.Err() != nil {
			break
		}
		s.trouble(err)
		s.phase(PhaseAsking)
		d, least := s.pauses(err)
		s.pause(ctx, d, least)
	}
	if !s.open {
		return nil
	}
	s.phase(PhaseStopping)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := s.stop(last); err != nil && s.granted {
		return fmt.Errorf("gateway: the end of the stream could not be told: %w", err)
	}
	return nil
}

// once is one way through the protocol: id, grant, stream, lease. It always
// returns an error: why there is no stream (any more).
func (s *Session) once(ctx context.Context, width, height int, stream Stream) error {
	if s.id.IsZero() {
		id, err := s.asker.NewUtilizationID(ctx)
		if err != nil {
			return err
		}
		s.keep(id)
	}
	s.granted = false
	s.open = true // from here on the answer may get lost, but not the stream it started
	g, err := s.asker.StartStream(ctx, s.id, width, height)
	if err != nil {
		return s.notGranted(ctx, err)
	}
	s.granted, s.elsewhere = true, false
	g.Utilization = s.id
	if err := s.keys.check(g.SRTP, s.policy.Encrypted); err != nil {
		return s.giveUp(ctx, err)
	}
	if g, err = s.policy.Destination(ctx, g); err != nil {
		return s.giveUp(ctx, err)
	}
	if err := stream.Begin(ctx, g); err != nil {
		return s.giveUp(ctx, fmt.Errorf("stream to %v: %w", g.RTP, err))
	}
	s.phase(PhaseValidating)
	s.log.Info("gateway: granted", "utilization_id", g.Utilization.String(), "rtp", g.RTP, "rtcp", g.RTCP, "keepalive", g.KeepAlive)
	err = s.lease(ctx, g, stream)
	stream.End()
	if ctx.Err() != nil {
		return ctx.Err() // Run says stop_stream with a context that still lives
	}
	return s.giveUp(ctx, err)
}

// notGranted follows the table of answers to start_stream.
func (s *Session) notGranted(ctx context.Context, err error) error {
	var refusal *wire.Refusal
	if !errors.As(err, &refusal) {
		// Lost on the way: the grant may stand, so a 4091 that follows is our own.
		s.elsewhere = false
		return err
	}
	s.open = refusal.Code/1000 == 5 // a fault of theirs may have left it half started
	switch refusal.Code {
	case wire.CodeUtilizationInvalid:
		s.id = wire.ID{} // the next round asks for a new one
	case wire.CodeActive:
		if s.elsewhere {
			// Stopping again would fight with a source that shares our id.
			return fmt.Errorf("%w: %w", ErrElsewhere, err)
		}
		s.open = true
		s.elsewhere = s.stop(ctx) == nil
	default:
		s.log.Debug("gateway: refused", "code", refusal.Code, "request", wire.Request{Action: refusal.Action, Utilization: s.id})
	}
	return err
}

// giveUp tells the gateway that a granted stream is over and returns why. What it
// answers changes nothing: the next start_stream finds out.
func (s *Session) giveUp(ctx context.Context, why error) error {
	if err := s.stop(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("gateway: stop_stream", "err", err)
	}
	var refusal *wire.Refusal
	if errors.As(why, &refusal) && refusal.Code == wire.CodeUtilizationInvalid {
		s.id = wire.ID{}
	}
	return why
}

// stop says stop_stream. 4092 is as good as a yes: nothing runs.
func (s *Session) stop(ctx context.Context) error {
	err := s.asker.StopStream(ctx, s.id)
	var refusal *wire.Refusal
	if errors.As(err, &refusal) && (refusal.Code == wire.CodeNotRunning || refusal.Code == wire.CodeUtilizationInvalid) {
		err = nil
	}
	if err == nil {
		s.open = false
	}
	return err
}

// load takes the id of the time before a power cut, so that the stream which that
// left active can be stopped by the one who started it.
func (s *Session) load() {
	if s.store == nil || !s.id.IsZero() {
		return
	}
	id, err := s.store.Load()
	if err != nil { // a new id will replace it
		s.log.Warn("gateway: the kept utilization id cannot be read", "err", err)
	}
	s.hold(id)
}

// keep takes a new id and saves it if it is another one.
func (s *Session) keep(id wire.ID) {
	known := s.State().Utilization
	s.hold(id)
	if s.store == nil || id == known {
		return
	}
	if err := s.store.Save(id); err != nil { // the stream does not depend on it
		s.log.Warn("gateway: the utilization id is not kept", "err", err)
	}
}

func (s *Session) hold(id wire.ID) {
	s.id = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Utilization = id
}
