package feedback

import (
	"slices"
	"testing"

	"github.com/pion/rtcp"
)

// What pion says a message is about, IsAbout finds, and nothing else in messages of these kinds.
func FuzzIsAbout(f *testing.F) {
	const ssrc = 0x12345678
	for _, p := range []rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 7}, {SSRC: ssrc}}},
		&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: ssrc}}},
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: ssrc},
		&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: ssrc, Nacks: []rtcp.NackPair{{PacketID: 7}}},
		&rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 7}, {SSRC: ssrc}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e6, SSRCs: []uint32{7, ssrc}},
		&rtcp.Goodbye{Sources: []uint32{ssrc}},
	} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1500 || !IsCompound(b) {
			return
		}
		got := IsAbout(b, ssrc)
		parts, err := rtcp.Unmarshal(b)
		if err != nil || got {
			return
		}
		for _, p := range parts {
			switch p.(type) {
			case *rtcp.ReceiverReport, *rtcp.PictureLossIndication, *rtcp.TransportLayerNack, *rtcp.FullIntraRequest,
				*rtcp.ReceiverEstimatedMaximumBitrate:
				if slices.Contains(p.DestinationSSRC(), uint32(ssrc)) {
					t.Errorf("% x: pion reads %T about %#x", b, p, uint32(ssrc))
				}
			}
		}
	})
}
