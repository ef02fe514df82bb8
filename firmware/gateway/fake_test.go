package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// fakeClock jumps: After fires at once and moves Now, so an hour takes no time.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired, func() {}
}

// A step is one request that the session must make, and its answer.
type step struct {
	ask        string // action and id, such as "start_stream 7"
	err        error
	id         string // new_utilization_id's answer
	keepAlive  time.Duration
	validation int
	host       string // start_stream's answer; "" is 192.0.2.9
	then       func() // runs before the answer
}

func refused(code int) error { return &wire.Refusal{Action: "x", Code: code} }

// script answers step by step, then ends the session. It is Asker and Stream, and
// notes what the stream is told between the requests.
type script struct {
	t     *testing.T
	steps []step
	end   context.CancelFunc
	clock *fakeClock
	log   []string // what happened, with the pauses between
	seen  int      // pauses noted so far
	begin error
}

func (s *script) note(what string) {
	s.clock.mu.Lock()
	for ; s.seen < len(s.clock.waits); s.seen++ {
		s.log = append(s.log, "wait "+s.clock.waits[s.seen].String())
	}
	s.clock.mu.Unlock()
	s.log = append(s.log, what)
}

func (s *script) take(ctx context.Context, ask string) (step, error) {
	s.note(ask)
	if ctx.Err() != nil {
		return step{}, ctx.Err()
	}
	if len(s.steps) == 0 {
		s.end()
		// What is asked after the script, except the goodbye, is answered with nothing.
		return step{}, context.Canceled
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	if next.ask != ask {
		s.t.Errorf("asked %q, want %q; before: %q", ask, next.ask, s.log)
	}
	if next.then != nil {
		next.then()
	}
	if next.host == "" {
		next.host = "192.0.2.9"
	}
	if next.keepAlive == 0 {
		next.keepAlive = wire.DefaultKeepAlive
	}
	return next, next.err
}

func (s *script) NewUtilizationID(ctx context.Context) (wire.ID, error) {
	got, err := s.take(ctx, "new")
	return wire.TextID(got.id), err
}

func (s *script) StartStream(ctx context.Context, id wire.ID, w, h int) (Grant, error) {
	if w != 640 || h != 480 {
		s.t.Errorf("start_stream %dx%d, want 640x480", w, h)
	}
	got, err := s.take(ctx, "start "+id.String())
	return Grant{Host: got.host, RTPPort: 5004, RTCPPort: 5005, KeepAlive: got.keepAlive}, err
}

func (s *script) ValidateStream(ctx context.Context, id wire.ID) (Validation, error) {
	got, err := s.take(ctx, "validate "+id.String())
	return Validation{Code: got.validation}, err
}

func (s *script) StopStream(ctx context.Context, id wire.ID) error {
	_, err := s.take(ctx, "stop "+id.String())
	return err
}

func (s *script) Begin(_ context.Context, g Grant) error {
	s.note(fmt.Sprintf("BEGIN %v %v", g.RTP, g.RTCP))
	return s.begin
}
func (s *script) KeyFrame() { s.note("KEYFRAME") }
func (s *script) End()      { s.note("END") }

// memory is a Store that counts writes.
type memory struct {
	id    wire.ID
	saves int
	err   error
}

func (m *memory) Load() (wire.ID, error) { return m.id, m.err }
func (m *memory) Save(id wire.ID) error  { m.id, m.saves = id, m.saves+1; return m.err }

func noInterfaces() ([]netip.Prefix, error) { return nil, nil }

// play runs a session through steps with random = 0, so that each pause is the
// shortest of its range, and returns what happened.
func play(t *testing.T, store Store, change func(*script, *Session), steps ...step) (*script, *Session) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &script{t: t, steps: steps, end: cancel, clock: &fakeClock{now: time.Unix(1_800_000_000, 0)}}
	session := NewSession(SessionConfig{
		Asker: s, Store: store, Clock: s.clock, Random: func() float64 { return 0 },
		Policy: Policy{Local: noInterfaces},
	})
	if change != nil {
		change(s, session)
	}
	if err := session.Run(ctx, 640, 480, s); err != nil && !errors.Is(err, context.Canceled) {
		t.Logf("Run = %v", err)
	}
	if len(s.steps) != 0 {
		t.Errorf("the session never asked %q; it did %q", s.steps[0].ask, s.log)
	}
	return s, session
}
