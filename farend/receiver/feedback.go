// Transport-wide feedback: when each packet arrived, for senders that number their packets. It
// lets them find the rate of the path within a fraction of a second.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01, RFC 5506 (reduced size).

package receiver

import (
	"encoding/binary"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	// transportID is the header extension for transport-wide numbers.
	transportID = 5

	// feedbackInterval is short enough to see a queue before it is long, and costs 8 kbit/s.
	feedbackInterval = 60 * time.Millisecond
)

// TransportID is the header extension in which a sender may number its packets.
func (r *Receiver) TransportID() uint8 { return transportID }

// arrivals are those that no feedback has reported yet. The zero value has none.
type arrivals struct {
	recorder   *twcc.Recorder
	reportedAt time.Duration
}

// addPacket records a packet that bears a transport-wide number.
func (a *arrivals) addPacket(p *rtp.Packet, ourSSRC uint32, now time.Duration) {
	number := p.GetExtension(transportID)
	if len(number) != 2 {
		return
	}
	if a.recorder == nil {
		a.recorder = twcc.NewRecorder(ourSSRC)
	}
	a.recorder.Record(p.SSRC, binary.BigEndian.Uint16(number), now.Microseconds())
}

// sendFeedback sends what is due. The sender agreed to feedback, and so to its coming without
// a report around it.
func (r *Receiver) sendFeedback(s *sender, now time.Duration) {
	a := &s.arrivals
	if a.recorder == nil || r.replyTo == nil || now-a.reportedAt < feedbackInterval {
		return
	}
	a.reportedAt = now
	for _, p := range a.recorder.BuildFeedbackPacket() {
		s.feedback++
		r.sendRTCP([]rtcp.Packet{p})
	}
}
