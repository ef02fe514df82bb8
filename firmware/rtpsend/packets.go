// Frames become packets in the history, and leave it at their pace. No allocation.
// Spec: RFC 3550 section 5.1.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// queueFrame cuts a frame into packets behind those that wait. It is their last chance to
// wait: with 1,024 of them, the oldest leave. The first bears the capture time, NTP, unless
// that is 0. doubled: all of it is to leave a second time. sending is held.
func (s *Sender) queueFrame(frame []byte, timestamp uint32, captured uint64, doubled bool, sent *tally) error {
	s.packetizer.Start(frame)
	for last := false; !last; {
		if s.history.IsFull() {
			if err := s.sendNext(sent); err != nil {
				return err
			}
		}
		b, sequence := s.history.Reserve()
		extensions := packet.PutExtensions(b[packet.HeaderSize:], s.cfg.TransportID, s.cfg.CaptureTimeID, captured)
		head := packet.HeaderSize + extensions
		var n int
		n, last = s.packetizer.Next(b[head : packet.HeaderSize+s.payload])
		packet.PutHeader(b, extensions > 0, last, sequence, timestamp, s.cfg.First.SSRC)
		captured = 0 // the frame's other packets bear the same timestamp
		s.history.Queue(head+n, doubled)
	}
	return nil
}

// captured is the wall clock's time of at, for the first packet of a frame; 0: it bears none.
func (s *Sender) captured(now, at time.Duration) uint64 {
	if s.cfg.CaptureTimeID == 0 {
		return 0
	}
	return session.NTP(s.cfg.Now().Add(at - now))
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
