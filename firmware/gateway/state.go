// What a status line shows of a session, and what others may tell it.

package gateway

import (
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Phase is one word for what a session does.
type Phase string

// The phases, in the order in which a good start passes them.
const (
	PhaseIdle       Phase = "idle"       // Run was not called, or has ended
	PhaseAsking     Phase = "asking"     // waits for an answer or for the time to ask again
	PhaseValidating Phase = "validating" // sends; the gateway has not said yet that it captures
	PhaseStreaming  Phase = "streaming"  // sends; the gateway captures
	PhaseStopping   Phase = "stopping"   // BYE and stop_stream
)

// State is a snapshot.
type State struct {
	Phase       Phase
	Since       time.Time // when Phase began
	Problem     string    // the last error in an owner's words; "" after the gateway captured
	Utilization wire.ID
}

// State may be called from any goroutine.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Wake resets the backoff and cuts a pause short: call it when the link comes up, when an
// address changes, or when the clock is set for the first time. It never blocks.
func (s *Session) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// Doubt makes a session that streams ask at once whether the stream still arrives, and start
// over after fewer tries: call it when the receiver seems to be gone. It changes nothing
// while the gateway does not answer, for then the backoff counts. It never blocks.
func (s *Session) Doubt() {
	select {
	case s.doubt <- struct{}{}:
	default: // one is waiting already
	}
}

func (s *Session) setPhase(p Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Phase != p {
		s.state.Phase, s.state.Since = p, s.clock.Now()
	}
}

// noteTrouble logs err if it says something new: an outage is logged once, when it begins.
func (s *Session) noteTrouble(err error) {
	words := Explain(err)
	s.mu.Lock()
	news := s.state.Problem != words
	s.state.Problem = words
	s.mu.Unlock()
	if news {
		s.log.Warn("gateway: trouble", "problem", words, "error", err)
	}
}

// noteCaptured ends the trouble, and logs that once.
func (s *Session) noteCaptured() {
	s.setPhase(PhaseStreaming)
	s.backoff = backoff{}
	s.activeElsewhere = false
	s.mu.Lock()
	problem := s.state.Problem
	s.state.Problem = ""
	s.mu.Unlock()
	if problem != "" {
		s.log.Info("gateway: trouble is over", "was", problem)
	}
}
