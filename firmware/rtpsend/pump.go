// Packets leave: a frame's at their pace, those that the receiver misses, and copies. Owns the
// goroutine that sends what cannot leave within Send. No allocation.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
)

// wakePump makes runPump look; it never blocks.
func (s *Sender) wakePump() {
	select {
	case s.awake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// runPump sends what is due until Close.
func (s *Sender) runPump() {
	defer s.running.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-s.awake:
		case <-timer.C:
		}
		wait, err := s.sendDue()
		if err != nil { // closed
			return
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// sendDue sends what may leave now; its only error is ErrClosed.
func (s *Sender) sendDue() (wait time.Duration, err error) {
	var sent tally
	defer func() { sent.log.writeTo(s.cfg.Log) }()
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	now := s.cfg.Monotonic()
	sent.at = now
	var copyWait time.Duration
	if err = s.sendAnswers(now, &sent); err == nil {
		wait, err = s.sendQueued(now, &sent)
	}
	if err == nil {
		copyWait, err = s.sendCopies(now, &sent)
	}
	if copyWait > 0 && (wait == 0 || copyWait < wait) {
		wait = copyWait
	}
	s.account(now, &sent)
	return wait, err
}

// sendQueued sends what may leave now of the frames that wait; the wait for the rest is 0 if
// there is none. sending is held.
func (s *Sender) sendQueued(now time.Duration, sent *tally) (wait time.Duration, err error) {
	for b := s.queue.history.PeekNext(); b != nil; b = s.queue.history.PeekNext() {
		if wait := s.ceiling.Wait(now, s.sizeOnWire(len(b))); wait > 0 {
			return wait, nil
		}
		if wait := s.pacer.AdmitPacket(now, len(b)); wait > 0 {
			return wait, nil
		}
		if err := s.sendNext(sent); err != nil {
			return 0, err
		}
	}
	s.pacer.EndFrame()
	return 0, nil
}

// sendNext sends the packet that has waited longest. sending is held.
func (s *Sender) sendNext(sent *tally) error {
	b := s.queue.history.PeekNext()
	sequence, doubled := s.queue.history.PopNext()
	s.setNumber(b)
	octets, ok, err := s.transmit(b, firstTime, sent)
	if ok {
		sent.packets++
		sent.octets += octets
	}
	if doubled {
		s.resender.QueueCopy(sent.at, sequence)
	}
	return err
}

// sendAnswers sends what the receiver has asked for; its only error is ErrClosed. sending is held.
func (s *Sender) sendAnswers(now time.Duration, sent *tally) error {
	s.mu.Lock()
	s.resender.TakeRequests(&s.inbox.requests, s.session.RoundTrip())
	s.mu.Unlock()
	for {
		p, ok := s.resender.NextAnswer(now, s.roomForResends(now))
		if !ok {
			return nil
		}
		if err := s.sendAgain(p, sent); err != nil {
			return err
		}
	}
}

// sendCopies sends the copies that are due; its only error is ErrClosed. sending is held.
func (s *Sender) sendCopies(now time.Duration, sent *tally) (wait time.Duration, err error) {
	for {
		p, wait, ok := s.resender.NextCopy(now, s.roomForCopies(now))
		if !ok {
			return wait, nil
		}
		if err := s.sendAgain(p, sent); err != nil {
			return 0, err
		}
	}
}

// sendAgain sends a packet of the resender.
func (s *Sender) sendAgain(p resend.Packet, sent *tally) error {
	as := verbatim
	if !p.Verbatim {
		s.setNumber(p.Bytes)
		as = again
	}
	octets, ok, err := s.transmit(p.Bytes, as, sent)
	if ok {
		s.resender.NoteSent(p, octets)
	}
	return err
}

// setNumber gives a packet its transport-wide number.
func (s *Sender) setNumber(b []byte) {
	if s.cfg.TransportID != 0 {
		packet.SetTransportNumber(b, s.departures.NextNumber())
	}
}
