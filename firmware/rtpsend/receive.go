// RTCP in: the goroutine that reads it, and whom to believe. Takes bytes from anybody. What a
// packet says is read by feedback, what that changes is in react.go.

package rtpsend

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/admission"
	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

const (
	// maxReport is the largest RTCP packet that is read: one Ethernet frame.
	maxReport = 1500

	// receivePause keeps a socket that fails at once from taking the processor.
	receivePause = 100 * time.Millisecond

	// silenceCheck is how often the receiver's silence is looked at.
	silenceCheck = 500 * time.Millisecond
)

// An inbox is what must be remembered of RTCP that came. Sender.mu guards it.
type inbox struct {
	gate     admission.Gate
	fir      lastFIR
	requests resend.Requests // for runPump

	reference reference // not echoed yet
}

// exchangeRTCP reads RTCP until Close, and sends a report when one is due.
func (s *Sender) exchangeRTCP() {
	defer s.running.Done()
	buffer := make([]byte, maxReport+1)
	for {
		if err := s.awaitRTCP(buffer); err != nil {
			return
		}
		s.mu.Lock()
		now := s.cfg.Monotonic()
		due := s.session.TakeReport(now)
		doubtful := s.session.RaiseDoubt(now)
		s.mu.Unlock()
		if doubtful {
			s.cfg.Doubt()
		}
		if due {
			var log pendingLog
			s.sendReport(nil, &log)
			log.writeTo(s.cfg.Log)
		}
	}
}

// awaitRTCP waits for one packet, at most until a report is due; its only error is ErrClosed.
func (s *Sender) awaitRTCP(buffer []byte) error {
	s.mu.Lock()
	wait := min(s.session.ReportWait(s.cfg.Monotonic()), silenceCheck)
	s.mu.Unlock()
	n, from, err := s.reports.Receive(buffer, wait)
	switch {
	case err == nil:
		s.receive(buffer[:n], from)
	case errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	default:
		s.mu.Lock()
		s.stats.ReceiveErrors++
		if udp.IsRefused(err) { // with rtcp-mux, whoever uses the socket first meets it
			s.session.NoteRefusal(s.cfg.Monotonic())
			s.refused.Store(true)
		}
		s.mu.Unlock()
		s.pauseFor(receivePause)
	}
	return nil
}

// pauseFor waits, until Close at most.
func (s *Sender) pauseFor(d time.Duration) {
	select {
	case <-s.done:
	case <-time.After(d):
	}
}

// receive takes one datagram. It is decrypted where that is agreed, before anything counts it: what is
// not the receiver's must not use up what the receiver may send.
func (s *Sender) receive(b []byte, from netip.AddrPort) {
	if !s.isFromReceiver(b, from) {
		return
	}
	now, size := s.cfg.Monotonic(), len(b)
	if s.cfg.srtp != nil {
		if !s.isWorthATrial(b, now) {
			return
		}
		var err error
		if b, err = s.cfg.srtp.decryptRTCP(b); err != nil {
			s.mu.Lock()
			s.stats.Ignored.Forged++
			s.mu.Unlock()
			return
		}
	}
	var log pendingLog
	s.readCompound(b, size, from.Port(), now, &log)
	log.writeTo(s.cfg.Log)
}

// isFromReceiver drops what does not come from the receiver's host or is too large, before anything
// of it is parsed. The port may be any: GStreamer sends from another one than it listens on.
func (s *Sender) isFromReceiver(b []byte, from netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case from.Addr().Unmap().WithZone("") != s.cfg.RTCP.Addr().WithZone(""):
		s.stats.Ignored.Stranger++
	case len(b) > maxReport:
		s.stats.Ignored.TooLarge++
	default:
		return true
	}
	return false
}

// isWorthATrial bounds what authentication may cost.
func (s *Sender) isWorthATrial(b []byte, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inbox.gate.AdmitTrial(now, feedback.SenderSSRC(b)) {
		return true
	}
	s.stats.Ignored.TooMany++
	return false
}

// readCompound acts on the parts of a datagram, which had size bytes on the wire, if it is admitted.
func (s *Sender) readCompound(b []byte, size int, port uint16, now time.Duration, log *pendingLog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.inbox.gate.Admit(now, b, port) {
	case admission.Malformed:
		s.stats.Ignored.Malformed++
		return
	case admission.TooMany:
		s.stats.Ignored.TooMany++
		return
	}
	s.session.NoteHeard(now, size)
	for part := []byte(nil); len(b) > 0; {
		part, b = feedback.Split(b)
		m, ok := feedback.Parse(part)
		s.reactTo(&m, ok, now, log)
	}
}
