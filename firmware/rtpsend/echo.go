// The goroutine that asks the receiver's host for echoes while nothing better reports on the path.

package rtpsend

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// exchangeEchoes asks and listens until Close.
func (s *Sender) exchangeEchoes() {
	defer s.running.Done()
	for {
		wait := s.echo.DueAt() - s.cfg.Monotonic()
		if wait <= 0 {
			if s.closed.Load() {
				return
			}
			s.sending.Lock() // nothing follows BYE
			s.askForEcho()
			s.sending.Unlock()
			wait = s.echo.DueAt() - s.cfg.Monotonic()
		}
		request, ok, err := s.echo.Receive(max(wait, time.Millisecond))
		switch now := s.cfg.Monotonic(); {
		case ok:
			s.mu.Lock()
			s.stats.Echoes++
			s.mu.Unlock()
			s.departures.NoteEcho(now, request.At, request.Before)
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			// An ICMP error about a request: the next one may fare better.
			s.pauseFor(receivePause)
		}
	}
}

// askForEcho sends a request if the stream flows and nothing better reports on the path.
// sending is held.
func (s *Sender) askForEcho() {
	now := s.cfg.Monotonic()
	s.echo.Postpone(now)
	if s.closed.Load() || s.departures.HasFeedback(now) {
		return
	}
	before := s.departures.BytesSent()
	s.echo.SendRequest(s.cfg.Monotonic(), before)
	s.ceiling.NoteSent(now, udp.EchoSize(s.cfg.RTP.Addr()))
}
