// Frames become packets in the history, and leave it at their pace. No allocation.
// Spec: RFC 3550 section 5.1.

package rtpsend

import (
	"encoding/binary"
	"time"
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
		extensions := putExtensions(b[rtpHeaderSize:], s.cfg.TransportID, s.cfg.CaptureTimeID, ntp)
		head := rtpHeaderSize + extensions
		var n int
		n, last = s.packetizer.Next(b[head : rtpHeaderSize+s.payload])
		putHeader(b, last, sequence, timestamp, s.cfg.First.SSRC)
		if extensions > 0 {
			b[0] |= extensionBit
		}
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
	packet, sequence, before := s.history.peek(), s.history.next, sent.packets
	twice := s.history.pass()
	s.number(packet)
	err := s.write(packet, sent)
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
	for packet := s.history.peek(); packet != nil; packet = s.history.peek() {
		if wait := s.pacer.wait(now, len(packet)); wait > 0 {
			return wait, nil
		}
		if err := s.sendNext(sent); err != nil {
			return 0, err
		}
	}
	s.pacer.idle()
	return 0, nil
}

// number gives a packet its transport-wide number.
func (s *Sender) number(packet []byte) {
	if s.cfg.TransportID != 0 {
		setTransport(packet, uint16(s.departures.number()))
	}
}

// putHeader writes an RTP header: version 2, no padding, extension or CSRC.
func putHeader(b []byte, marker bool, sequence uint16, timestamp, ssrc uint32) {
	_ = b[rtpHeaderSize-1]
	b[0], b[1] = 2<<6, PayloadType
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}
