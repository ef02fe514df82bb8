// The session: from the first request to the grant, and what follows each answer. The lease
// is in lease.go, when a request may leave in pace.go. Test it with a fake Asker, Clock and Stream.

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

// An Asker makes the four requests; *Client is one.
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

// A Session keeps one source's permission: it asks, streams while the lease lasts, and asks
// again. Run must not be called twice at a time; when it is called again, with another camera, the
// backoff goes on, and so do the id and the memory of keys.
type Session struct {
	asker  Asker
	store  Store
	policy Policy
	log    *slog.Logger
	clock  Clock
	random func() float64
	wake   chan struct{}
	doubt  chan struct{}

	// Run's alone:
	pace            pace
	id              wire.ID
	lasts           bool // the gateway captured the stream for a minute
	mayBeActive     bool // the gateway may think that our stream is active
	granted         bool // it said that it is
	asked           bool // start_stream was asked for in this Run
	activeElsewhere bool // our own id was stopped, and the stream is still active
	usedKeys        usedKeys
	trouble         trouble

	mu    sync.Mutex // guards state; nothing is called under it
	state State
}

// NewSession asks nobody yet.
func NewSession(c SessionConfig) *Session {
	s := &Session{
		asker: c.Asker, store: c.Store, policy: c.Policy, log: c.Log, clock: c.Clock, random: c.Random,
		wake: make(chan struct{}, 1), doubt: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.clock == nil {
		s.clock = SystemClock{}
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	s.state = State{Phase: PhaseIdle, Since: s.clock.Now()}
	return s
}

// stopTimeout is how long stop_stream may take at the end: a source must be gone within a second
// of SIGTERM, BYE included. A handshake and a request take four round trips.
const stopTimeout = 800 * time.Millisecond

// Run asks, streams and asks again until ctx ends. Then it ends the stream, sends
// stop_stream and returns within a second (as long as Stream.End returns at once): nil, or why the
// gateway may not know that the stream ended. Pictures are width x height.
func (s *Session) Run(ctx context.Context, width, height int, stream Stream) error {
	defer s.setPhase(PhaseIdle)
	s.loadID()
	s.asked = false
	for {
		s.setPhase(PhaseAsking)
		s.dropDoubt()
		s.awaitDue(ctx, nil)
		if ctx.Err() != nil {
			break // what was planned counts for the next Run
		}
		s.lasts, s.granted = false, false
		err := s.streamOnce(ctx, width, height, stream)
		if ctx.Err() != nil {
			if !s.lasts {
				s.pace.planRetry(ctx.Err(), false, s.clock.Now(), s.random())
			}
			break
		}
		s.noteTrouble(err)
		// A lease may have ended because nothing left; the grant before it was asked for.
		s.pace.planRetry(err, neverSent(err) && !s.granted, s.clock.Now(), s.random())
	}
	if !s.mayBeActive || !s.asked && s.pace.turnIn(wire.ActionStopStream, s.clock.Now()) > 0 {
		return nil // the one Run before has just tried in vain
	}
	s.setPhase(PhaseStopping)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.stopStream(last); err != nil && s.granted {
		return fmt.Errorf("gateway: the end of the stream could not be told: %w", err)
	}
	return nil
}

// inTurn makes a request when its turn has come.
func (s *Session) inTurn(ctx context.Context, action string, request func() error) error {
	if wait := s.pace.turnIn(action, s.clock.Now()); wait > 0 && ctx.Err() == nil {
		fired, stop := s.clock.After(wait)
		defer stop()
		select {
		case <-ctx.Done():
		case <-fired:
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.ask(action, request)
}

// ask makes a request now.
func (s *Session) ask(action string, request func() error) error {
	err := request()
	s.pace.noteRequest(action, err, s.clock.Now())
	return err
}

// streamOnce goes through the protocol once: id, grant, stream, lease. It always returns an
// error: why there is no stream, or none any more.
func (s *Session) streamOnce(ctx context.Context, width, height int, stream Stream) error {
	if s.id.IsZero() {
		if err := s.requestID(ctx); err != nil {
			return err
		}
	}
	g, err := s.requestStream(ctx, width, height)
	if err != nil {
		return s.handleStartError(ctx, err)
	}
	s.granted, s.activeElsewhere = true, false
	if err := s.usedKeys.admitKeys(g.SRTP, s.policy.Encrypted); err != nil {
		return s.giveStreamUp(ctx, err)
	}
	if g, err = s.policy.ResolveReceiver(ctx, g); err != nil {
		return s.giveStreamUp(ctx, err)
	}
	if err := stream.Begin(ctx, g); err != nil {
		return s.giveStreamUp(ctx, fmt.Errorf("stream to %v: %w", g.RTP, err))
	}
	s.setPhase(PhaseValidating)
	s.log.Info("gateway: granted",
		"utilization_id", g.Utilization.String(), "rtp", g.RTP, "rtcp", g.RTCP, "keepalive", g.KeepAlive)
	err = s.holdLease(ctx, g, stream)
	stream.End()
	return s.giveStreamUp(ctx, err)
}

func (s *Session) requestID(ctx context.Context) error {
	return s.inTurn(ctx, wire.ActionNewUtilizationID, func() error {
		id, err := s.asker.NewUtilizationID(ctx)
		if err == nil {
			s.saveID(id)
		}
		return err
	})
}

func (s *Session) requestStream(ctx context.Context, width, height int) (g Grant, err error) {
	err = s.inTurn(ctx, wire.ActionStartStream, func() error {
		// From here on the answer may get lost, but not the stream it started.
		s.mayBeActive, s.asked = true, true
		g, err = s.asker.StartStream(ctx, s.id, width, height)
		g.Utilization = s.id
		return err
	})
	return g, err
}

// handleStartError does what the protocol's table wants after an answer to start_stream that
// grants nothing, and returns why there is no stream.
func (s *Session) handleStartError(ctx context.Context, err error) error {
	var refusal *wire.Refusal
	if !errors.As(err, &refusal) {
		// Lost on the way: the grant may stand, so a 4091 that follows is our own.
		s.activeElsewhere = false
		return err
	}
	s.mayBeActive = refusal.Code/1000 == 5 // a fault of theirs may have left it half started
	switch refusal.Code {
	case wire.CodeUtilizationInvalid:
		s.id = wire.ID{} // the next round asks for a new one
	case wire.CodeAlreadyActive:
		if s.activeElsewhere {
			// Stopping again would fight with a source that shares our id.
			return fmt.Errorf("%w: %w", ErrElsewhere, err)
		}
		s.mayBeActive = true
		s.activeElsewhere = s.stopStreamInTurn(ctx) == nil
	default:
		request := wire.Request{Action: refusal.Action, Utilization: s.id}
		s.log.Debug("gateway: refused", "code", refusal.Code, "request", request)
	}
	return err
}

// giveStreamUp tells the gateway that a granted stream is over and returns why. What it
// answers changes nothing: the next start_stream finds out. If ctx ends, that is left to Run.
func (s *Session) giveStreamUp(ctx context.Context, why error) error {
	if err := s.stopStreamInTurn(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("gateway: stop_stream", "error", err)
	}
	var refusal *wire.Refusal
	if errors.As(why, &refusal) && refusal.Code == wire.CodeUtilizationInvalid {
		s.id = wire.ID{}
	}
	return why
}

func (s *Session) stopStreamInTurn(ctx context.Context) error {
	return s.inTurn(ctx, wire.ActionStopStream, func() error { return s.askStop(ctx) })
}

// stopStream sends stop_stream, out of turn, at the end.
func (s *Session) stopStream(ctx context.Context) error {
	return s.ask(wire.ActionStopStream, func() error { return s.askStop(ctx) })
}

// askStop sends stop_stream. 4092 is as good as a yes, since nothing runs; so is 4012, for
// an id that the gateway does not know has no stream.
func (s *Session) askStop(ctx context.Context) error {
	err := s.asker.StopStream(ctx, s.id)
	var refusal *wire.Refusal
	if errors.As(err, &refusal) &&
		(refusal.Code == wire.CodeNotRunning || refusal.Code == wire.CodeUtilizationInvalid) {
		err = nil
	}
	if err == nil {
		s.mayBeActive = false
	}
	return err
}

// awaitDue waits until the next step is due. News (Wake) may make that sooner; so does a doubt
// where doubtDue says when one counts, nil: never. The result says whether a doubt ended the wait.
func (s *Session) awaitDue(ctx context.Context, doubtDue *time.Time) (doubted bool) {
	for {
		now := s.clock.Now()
		due := s.pace.due
		var doubt chan struct{} // nil: none comes
		switch {
		case doubted:
			due = earlier(due, later(s.pace.soonest, *doubtDue))
		case doubtDue != nil:
			doubt = s.doubt
		}
		if !now.Before(due) || ctx.Err() != nil {
			return doubted
		}
		fired, stop := s.clock.After(due.Sub(now))
		select {
		case <-ctx.Done():
		case <-fired:
		case <-doubt:
			doubted = true
		case <-s.wake:
			s.pace.takeNews(s.clock.Now())
		}
		stop()
	}
}

// dropDoubt takes a doubt that would be old by the time it could count.
func (s *Session) dropDoubt() {
	select {
	case <-s.doubt:
	default:
	}
}

// loadID takes the id of the time before a power cut: only its owner can stop the stream that
// the power cut left active.
func (s *Session) loadID() {
	if s.store == nil || !s.id.IsZero() {
		return
	}
	id, err := s.store.Load()
	if err != nil { // a new id will replace it
		s.log.Warn("gateway: the kept utilization id cannot be read", "error", err)
	}
	s.setID(id)
}

// saveID takes a new id and keeps it if it is another one.
func (s *Session) saveID(id wire.ID) {
	known := s.State().Utilization
	s.setID(id)
	if s.store == nil || id == known {
		return
	}
	if err := s.store.Save(id); err != nil { // the stream does not depend on it
		s.log.Warn("gateway: the utilization id is not kept", "error", err)
	}
}

func (s *Session) setID(id wire.ID) {
	s.id = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Utilization = id
}
