//go:build linux

package losslab

import (
	"testing"

	"github.com/pion/rtcp"
)

func TestFeedbackCountsWhatCameInAtTheSender(t *testing.T) {
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}},
		&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2,
			Nacks: []rtcp.NackPair{{PacketID: 7, LostPackets: 0b101}, {PacketID: 90}}},
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := countFeedback([]Packet{{Payload: b}, {Payload: b, Out: true}, {Payload: b[:5]},
		{Payload: rtpBytes(mediaType, 1, 2, 3)}})
	if want := (Feedback{Reports: 1, NACKs: 4, PLIs: 1}); got != want {
		t.Errorf("feedbackOf = %+v, want %+v", got, want)
	}
}
