//go:build linux

// What the receiver reported to the sender. Pure.
// Spec: RFC 3550 section 6.4, RFC 4585 section 6, draft-holmer-rmcat-transport-wide-cc-extensions-01.

package losslab

import "github.com/pion/rtcp"

// Feedback counts what reached the sender.
type Feedback struct {
	Reports int `json:"reports"` // receiver reports
	NACKs   int `json:"nacks"`   // packets that were requested
	PLIs    int `json:"plis"`
	TWCCs   int `json:"twccs"`
}

// countFeedback counts the RTCP that came in at the sender's end.
func countFeedback(packets []Packet) (f Feedback) {
	for _, p := range packets {
		if p.Out {
			continue
		}
		parts, err := rtcp.Unmarshal(p.Payload)
		if err != nil {
			continue
		}
		for _, part := range parts {
			switch part := part.(type) {
			case *rtcp.ReceiverReport:
				f.Reports++
			case *rtcp.TransportLayerNack:
				for _, n := range part.Nacks {
					f.NACKs += len(n.PacketList())
				}
			case *rtcp.PictureLossIndication:
				f.PLIs++
			case *rtcp.TransportLayerCC:
				f.TWCCs++
			}
		}
	}
	return f
}
