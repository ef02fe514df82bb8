// Frames become packets in the history, and leave it at their pace. No allocation.
// Spec: RFC 3550 section 5.1.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// queue cuts a frame into packets behind those that wait. It is their last chance to
// wait: with 1,024 of them, the oldest leave. The first bears the capture time ntp,
// unless that is 0. twice: all of it is to leave a second time.
func (s *Sender) queue(frame []byte, timestamp uint32, ntp uint64, twice bool, sent *tally) error {
	s.packetizer.Start(frame)
	for last := false; !last; {
		if s.history.full() {
			if err := s.sendNext(sent); err != nil {
				return err
			}
		}
		b, sequence := s.history.room()
		extensions := packet.PutExtensions(b[packet.HeaderSize:], s.cfg.TransportID, s.cfg.CaptureTimeID, ntp)
		head := packet.HeaderSize + extensions
		var n int
		n, last = s.packetizer.Next(b[head : packet.HeaderSize+s.payload])
		packet.PutHeader(b, extensions > 0, last, sequence, timestamp, s.cfg.First.SSRC)
		ntp = 0 // the frame's other packets bear the same timestamp
		s.history.add(head+n, twice)
	}
	return nil
}

// captured is the wall clock's time of at, for the first packet of a frame; 0: it bears none.
func (s *Sender) captured(now, at time.Duration) uint64 {
	if s.cfg.CaptureTimeID == 0 {
		return 0
	}
	return ntpTime(s.cfg.Now().Add(at - now))
}

// sendNext sends the packet whose turn it is.
func (s *Sender) sendNext(sent *tally) error {
	b, sequence, before := s.history.peek(), s.history.next, sent.packets
	twice := s.history.pass()
	s.number(b)
	err := s.write(b, sent)
	if sent.packets > before {
		s.departures.name(sequence)
	}
	if twice {
		s.repeats.add(sent.at, sequence, false)
	}
	return err
}

// flush sends what may leave now; the wait for the rest is 0 if there is none.
func (s *Sender) flush(now time.Duration, sent *tally) (wait time.Duration, err error) {
	for b := s.history.peek(); b != nil; b = s.history.peek() {
		if wait := s.pacer.Admit(now, len(b)); wait > 0 {
			return wait, nil
		}
		if err := s.sendNext(sent); err != nil {
			return 0, err
		}
	}
	s.pacer.EndFrame()
	return 0, nil
}

// number gives a packet its transport-wide number.
func (s *Sender) number(b []byte) {
	if s.cfg.TransportID != 0 {
		packet.SetTransportNumber(b, uint16(s.departures.number()))
	}
}

// fit makes packets small enough for a path of mtu bytes; 0 is no news. sending is
// held, or nobody sends yet.
func (s *Sender) fit(mtu int) {
	if mtu == 0 {
		return
	}
	room := max(mtu, udp.MinMTU) - s.below - packet.HeaderSize - s.overhead()
	room = min(room, rtpvp8.MaxPayload-s.overhead())
	if s.payload != 0 && room != s.payload {
		s.cfg.Log.Info("packets fit the path", "mtu", mtu, "payload", room)
	}
	s.payload = room
}

// overhead is what a payload grows by before it is sent.
func (s *Sender) overhead() int {
	n := 0
	if s.cfg.RTX {
		n += packet.RTXHeaderSize
	}
	if s.cfg.cloak != nil {
		n += s.cfg.cloak.tag
	}
	return n
}
