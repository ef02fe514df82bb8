// When each packet arrived, for sources that number their packets: it lets them find the
// rate of the path within a fraction of a second.
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

	// feedbackEvery is often enough to see a queue before it is long, and 8 kbit/s.
	feedbackEvery = 60 * time.Millisecond
)

// TransportID is the header extension in which a sender may number its packets.
func (r *Receiver) TransportID() uint8 { return transportID }

// arrivals is what was not told yet. The zero value has nothing to tell.
type arrivals struct {
	recorder *twcc.Recorder
	told     time.Duration
}

// note records a packet that bears a transport-wide number.
func (a *arrivals) note(p *rtp.Packet, ours uint32, now time.Duration) {
	number := p.GetExtension(transportID)
	if len(number) != 2 {
		return
	}
	if a.recorder == nil {
		a.recorder = twcc.NewRecorder(ours)
	}
	a.recorder.Record(p.SSRC, binary.BigEndian.Uint16(number), now.Microseconds())
}

// tell sends feedback when it is due. The source agreed to it, and so to its coming
// without a report around it.
func (r *Receiver) tell(s *source, now time.Duration) {
	a := &s.arrivals
	if a.recorder == nil || r.replyTo == nil || now-a.told < feedbackEvery {
		return
	}
	a.told = now
	for _, p := range a.recorder.BuildFeedbackPacket() {
		s.feedback++
		r.send([]rtcp.Packet{p})
	}
}
