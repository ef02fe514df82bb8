// RTCP of far receivers.

package forward

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"
)

// takeDatagram reads RTCP that came by UDP, and answers requests. What is wrong with one message costs
// none of the others.
func (s *sink) takeDatagram(b []byte, now time.Time) {
	for len(b) > 0 {
		size := messageSize(b)
		packets, err := rtcp.Unmarshal(b[:size])
		if err != nil {
			s.mu.Lock()
			s.counts.Malformed++
			s.mu.Unlock()
		}
		s.takeFeedback(packets, now)
		b = b[size:]
	}
}

// messageSize is how long the first message of a datagram is (RFC 3550 section 6.4.1): all of it if
// that cannot be.
func messageSize(b []byte) int {
	if len(b) < 4 {
		return len(b)
	}
	return min(len(b), 4*(1+int(binary.BigEndian.Uint16(b[2:]))))
}

// takeFeedback counts what a far receiver says, sends again what it misses and passes its requests for
// key frames on. The SSRC in them is not compared: what comes this way is about this stream.
func (s *sink) takeFeedback(packets []rtcp.Packet, now time.Time) {
	wantsKeyFrame := false
	s.mu.Lock()
	if len(packets) > 0 {
		s.heardAt = now
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			s.counts.PLIs++
			wantsKeyFrame = true
		case *rtcp.TransportLayerNack:
			s.resend(p, now)
		case *rtcp.ReceiverReport:
			s.takeReports(p.Reports)
		case *rtcp.SenderReport:
			s.takeReports(p.Reports)
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			s.counts.REMBs++
			s.counts.REMB = float64(p.Bitrate)
		}
	}
	s.mu.Unlock()
	if wantsKeyFrame {
		s.requestKeyFrame()
	}
}

func (s *sink) takeReports(blocks []rtcp.ReceptionReport) {
	for _, b := range blocks {
		s.counts.Reports++
		s.counts.Loss = float64(b.FractionLost) / 256
	}
}

func (s *sink) resend(n *rtcp.TransportLayerNack, now time.Time) {
	for _, pair := range n.Nacks {
		for _, sequence := range pair.PacketList() {
			s.counts.NACKs++
			if s.link == nil || s.recent == nil {
				continue
			}
			if b := s.recent.Resend(sequence, now); b != nil && s.link.send(b) == nil {
				s.counts.Resent++
			}
		}
	}
}
