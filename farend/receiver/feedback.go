// Transport-wide feedback: when each packet arrived, for senders that number their packets. It
// lets them find the rate of the path within a fraction of a second.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01, RFC 5506 (reduced size).

package receiver

import (
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

const (
	// transportID is the header extension for transport-wide numbers.
	transportID = 5

	// feedbackInterval is short enough to see a queue before it is long, and costs 8 kbit/s.
	feedbackInterval = 60 * time.Millisecond
)

// arrivals are those that no feedback has reported yet. The zero value has none.
type arrivals struct {
	recorder   *twcc.Recorder
	reportedAt time.Duration
}

// addPacket records when the packet of a transport-wide number came.
func (a *arrivals) addPacket(ours, ssrc uint32, number uint16, now time.Duration) {
	if a.recorder == nil {
		a.recorder = twcc.NewRecorder(ours)
	}
	a.recorder.Record(ssrc, number, now.Microseconds())
}

// sendFeedback sends what is due. The sender agreed to feedback, and so to its coming without
// a report around it.
func (r *session) sendFeedback(s *sender, now time.Duration) {
	a := &s.arrivals
	if a.recorder == nil || !r.replyTo.IsValid() || now-a.reportedAt < feedbackInterval {
		return
	}
	a.reportedAt = now
	for _, p := range a.recorder.BuildFeedbackPacket() {
		s.feedback++
		r.sendRTCP([]rtcp.Packet{p})
	}
}
