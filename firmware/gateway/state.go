// What a status line shows of a session, and what others may tell it.

package gateway

import (
	"errors"
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
// address changes, or when the clock is set for the first time. Of more than a few within minutes
// some are ignored (newsBudget). It never blocks.
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

// startTrouble is how long what belongs to a healthy start lasts at most: DHCP has not answered
// yet, or the server has not made a frame yet.
const startTrouble = 10 * time.Second

// noteTrouble logs err if it says something new: an outage is logged once, when it begins. What
// belongs to a healthy start is logged only if it does not pass.
func (s *Session) noteTrouble(err error) {
	words := Explain(err)
	now := s.clock.Now()
	s.setProblem(words)
	if s.trouble.since.IsZero() {
		s.trouble.since = now
	}
	belongsToStart := neverSent(err) || errors.Is(err, ErrUncaptured)
	switch {
	case s.trouble.logged == words:
	case belongsToStart && now.Sub(s.trouble.since) < startTrouble:
		s.log.Debug("gateway: not yet", "problem", words, "error", err)
	default:
		s.trouble.logged = words
		s.log.Warn("gateway: trouble", "problem", words, "error", err)
	}
}

// noteCaptured ends the trouble, and logs that once.
func (s *Session) noteCaptured() {
	s.setPhase(PhaseStreaming)
	s.activeElsewhere = false
	s.setProblem("")
	was := s.trouble.logged
	s.trouble = trouble{}
	if was != "" {
		s.log.Info("gateway: trouble is over", "was", was)
	}
}

// trouble is an outage, as the log has it. The zero trouble is none.
type trouble struct {
	since  time.Time
	logged string // the words that the log has; "": none
}

func (s *Session) setProblem(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Problem = words
}
