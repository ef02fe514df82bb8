// Reception reports, of a receiver (RR) or of one that sends, too (SR).
// Spec: RFC 3550 section 6.4.

package feedback

import "github.com/pion/rtcp"

// A Report is one reception report.
type Report struct {
	SSRC            uint32  // the stream that it is about
	Loss            float64 // 0 to 1, since the report before
	Lost            int32   // packets since the start; below 0 if some arrived twice
	HighestSequence uint32  // received, with the count of wraps in the upper half
	Jitter          uint32  // in RTP time
	LastSR          uint32  // the middle of the NTP time of the last SR; 0: none has come
	Delay           uint32  // since that came, in 1/65536 s
}

func parseReceiverReport(b []byte) (m Message, ok bool) {
	var p rtcp.ReceiverReport
	if p.Unmarshal(b) != nil {
		return Message{Kind: Reports}, false
	}
	return Message{Kind: Reports, Reports: reportsOf(p.Reports)}, true
}

func parseSenderReport(b []byte) (m Message, ok bool) {
	var p rtcp.SenderReport
	if p.Unmarshal(b) != nil {
		return Message{Kind: Reports}, false
	}
	return Message{Kind: Reports, Reports: reportsOf(p.Reports)}, true
}

func reportsOf(blocks []rtcp.ReceptionReport) []Report {
	reports := make([]Report, 0, len(blocks))
	for _, r := range blocks {
		reports = append(reports, Report{
			SSRC:            r.SSRC,
			Loss:            float64(r.FractionLost) / 256,
			Lost:            int32(r.TotalLost<<8) >> 8, // 24 bits with a sign: rtpbin says -1 on a clean link
			HighestSequence: r.LastSequenceNumber,
			Jitter:          r.Jitter,
			LastSR:          r.LastSenderReport,
			Delay:           r.Delay,
		})
	}
	return reports
}
