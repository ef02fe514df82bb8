package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A witness is gateway and stream at once; it notes what happens and when.
type witness struct {
	began   time.Time
	notes   []string
	gone    atomic.Bool // the server captures nothing any more
	failing atomic.Bool // the gateway does not answer
	starts  int
}

func (w *witness) note(what string) {
	w.notes = append(w.notes, fmt.Sprintf("%s %v", what, time.Since(w.began).Round(time.Second)))
}

func (w *witness) NewUtilizationID(context.Context) (wire.ID, error) { return wire.TextID("7"), nil }

func (w *witness) StartStream(context.Context, wire.ID, int, int) (Grant, error) {
	w.note("start")
	w.starts++
	w.gone.Store(false)
	return Grant{Host: "192.0.2.9", RTPPort: 5004, RTCPPort: 5005, KeepAlive: time.Minute}, nil
}

func (w *witness) ValidateStream(context.Context, wire.ID) (Validation, error) {
	w.note("validate")
	switch {
	case w.failing.Load():
		return Validation{}, ErrUnreachable
	case w.gone.Load():
		return Validation{Code: 1}, nil
	}
	return Validation{}, nil
}

func (w *witness) StopStream(context.Context, wire.ID) error { w.note("stop"); return nil }
func (w *witness) Begin(context.Context, Grant) error        { return nil }
func (w *witness) KeyFrame()                                 {}
func (w *witness) End()                                      { w.note("end") }

// pass lets time go by, until the session waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// watch runs a session with a witness in fake time.
func watch(t *testing.T, then func(*witness, *Session)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &witness{began: time.Now()}
		s := NewSession(SessionConfig{Asker: w, Random: func() float64 { return 0.9 },
			Policy: Policy{Local: noInterfaces}})
		done := make(chan error)
		go func() { done <- s.Run(ctx, 640, 480, w) }()
		then(w, s)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		t.Logf("%q", w.notes)
	})
}

func TestDoubtThatIsRightStartsOverWithinTenSeconds(t *testing.T) {
	watch(t, func(w *witness, s *Session) {
		pass(20 * time.Second)
		w.gone.Store(true)
		s.Doubt()
		pass(10 * time.Second)
		if w.starts != 2 {
			t.Errorf("%d starts 10 s after the doubt: %q", w.starts, w.notes)
		}
	})
}

func TestDoubtThatIsWrongCostsOneRequest(t *testing.T) {
	watch(t, func(w *witness, s *Session) {
		pass(20 * time.Second)
		before := len(w.notes)
		s.Doubt()
		pass(10 * time.Second)
		if got := w.notes[before:]; w.starts != 1 || len(got) != 1 || got[0] != "validate 20s" {
			t.Errorf("%q after a doubt, want one validation at once", got)
		}
	})
}

func TestDoubtDoesNotHurryAGatewayInTrouble(t *testing.T) {
	watch(t, func(w *witness, s *Session) {
		pass(20 * time.Second)
		w.failing.Store(true)
		before := len(w.notes)
		for range 100 { // a doubt each second, until the lease ends
			s.Doubt()
			pass(time.Second)
		}
		// At once, then after 2, 4, 8, 16, 32 s.
		if got := len(w.notes) - before; got > 8 {
			t.Errorf("%d requests in 100 s to a gateway that does not answer: %q", got, w.notes[before:])
		}
	})
}

// A receiver that nobody hears, such as a Janus without viewers, doubts again and again, and each
// time the gateway says that all is well.
func TestDoubtsThatTheGatewayDeniesCountRarerAndRarer(t *testing.T) {
	watch(t, func(w *witness, s *Session) {
		pass(20 * time.Second)
		before := len(w.notes)
		for range 300 {
			s.Doubt()
			pass(time.Second)
		}
		// At once, then after 5, 10, 20, 40 s and each minute; every second one is the lease's own.
		if got := len(w.notes) - before; w.starts != 1 || got < 5 || got > 10 {
			t.Errorf("%d requests in 300 s of doubts, want 5 to 10: %q", got, w.notes[before:])
		}
	})
}
