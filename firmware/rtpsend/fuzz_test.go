// One target for each RTCP type that is acted on: the type is right, the rest is the
// fuzzer's. FuzzReceive in feedback_test.go feeds whole datagrams.

package rtpsend

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
	"github.com/pion/rtcp"
)

// part is one RTCP packet of that type and count around body, which is cut to words.
func part(kind rtcp.PacketType, count uint8, body []byte) []byte {
	body = body[:len(body)/4*4]
	b := append([]byte{2<<6 | count&0x1f, byte(kind), 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(body)/4))
	return b
}

// heard gives what a sender made of b; a stream of 100 packets was sent before.
func heard(f *testing.F) func(b []byte) (*Sender, Stats) {
	cfg := Config{RTP: testRTP, RTCP: testRTCP, First: &First{SSRC: testSSRC, Sequence: 65500}}
	if err := cfg.complete(); err != nil {
		f.Fatal(err)
	}
	return func(b []byte) (*Sender, Stats) {
		s := newSender(cfg, nil, nil)
		s.session.BeginFrame(0, 0)
		s.stats.Packets = 100
		s.receive(b, peer)
		return s, s.Stats()
	}
}

func FuzzNACK(f *testing.F) {
	f.Add(marshal(f, nack(65500, 65501, 3))[4:])
	f.Add([]byte{0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78, 0xff, 0xff, 0xff, 0xff})
	hear := heard(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > maxReport-feedback.HeaderSize {
			return
		}
		b := part(rtcp.TypeTransportSpecificFeedback, rtcp.FormatTLN, body)
		_, got := hear(b)
		var p rtcp.TransportLayerNack
		if err := p.Unmarshal(b); err != nil || p.MediaSSRC != testSSRC {
			if got.Resends.Asked != 0 {
				t.Errorf("asked for %d packets by %v", got.Resends.Asked, err)
			}
			return
		}
		var want []uint16
		for _, pair := range p.Nacks {
			want = append(want, pair.PacketList()...)
		}
		const maxRequests = 256 // as in resend
		m, _ := feedback.Parse(b)
		list := slices.Collect(m.Missing.All())
		if int(got.Resends.Asked) != len(want) || int(got.Resends.Limited) != max(0, len(want)-maxRequests) ||
			!slices.Equal(list, want) {
			t.Errorf("wanted %v, pion reads %v: %+v", list, want, got.Resends)
		}
	})
}

func FuzzReceptionReports(f *testing.F) {
	rr := marshal(f, reception(rtcp.ReceptionReport{SSRC: testSSRC, FractionLost: 1, TotalLost: 1 << 23,
		LastSenderReport: 5, Delay: 1 << 31}))
	f.Add(rr[4:], uint8(1), false)
	sr := marshal(f, &rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: testSSRC, Jitter: 1<<32 - 1}}})
	f.Add(sr[4:], uint8(1), true)
	hear := heard(f)
	f.Fuzz(func(t *testing.T, body []byte, count uint8, sender bool) {
		kind := rtcp.TypeReceiverReport
		if sender {
			kind = rtcp.TypeSenderReport
		}
		s, got := hear(part(kind, count, body))
		if got.Loss < 0 || got.Loss >= 1 || got.RTT != 0 || got.Jitter < 0 || got.Lost < -1<<23 ||
			got.Lost >= 1<<23 || got.Reports > 31 {
			t.Errorf("impossible figures: %+v", got)
		}
		if !s.session.IsFlowing() || got.Breaks != 0 {
			t.Errorf("one packet broke the circuit: %+v", got)
		}
	})
}

func FuzzKeyFrameRequests(f *testing.F) {
	f.Add(marshal(f, pli(testSSRC))[4:], uint8(rtcp.FormatPLI))
	f.Add(marshal(f, fir(testSSRC, 3))[4:], uint8(rtcp.FormatFIR))
	f.Add(marshal(f, &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1, SSRCs: []uint32{testSSRC}})[4:],
		uint8(rtcp.FormatREMB))
	hear := heard(f)
	f.Fuzz(func(t *testing.T, body []byte, format uint8) {
		s, got := hear(part(rtcp.TypePayloadSpecificFeedback, format, body))
		if want := got.PLIs+got.FIRs > 0; s.KeyFrameWanted() != want || s.KeyFrameWanted() {
			t.Errorf("a key frame is wanted against %+v, or twice", got)
		}
	})
}

func FuzzByeAndDescription(f *testing.F) {
	f.Add(marshal(f, &rtcp.Goodbye{Sources: []uint32{1}, Reason: "x"})[4:], uint8(1), true)
	f.Add(marshal(f, rtcp.NewCNAMESourceDescription(1, "x"))[4:], uint8(1), false)
	hear := heard(f)
	f.Fuzz(func(t *testing.T, body []byte, count uint8, bye bool) {
		kind := rtcp.TypeSourceDescription
		if bye {
			kind = rtcp.TypeGoodbye
		}
		s, got := hear(part(kind, count, body))
		if s.KeyFrameWanted() || got.Reports+got.Resends.Asked != 0 || got.BYEs > 1 {
			t.Errorf("%+v", got)
		}
	})
}

// FuzzSRTCP has no key: whatever comes is forged, and nothing of it is acted on.
func FuzzSRTCP(f *testing.F) {
	f.Add(marshal(f, pli(testSSRC)), true)
	f.Add(make([]byte, 60), false)
	configs := map[bool]Config{}
	for gcm, profile := range map[bool]string{true: ProfileGCM, false: ProfileCM} {
		cfg := Config{RTP: testRTP, RTCP: testRTCP, SRTP: testKeys(profile, 1), First: &First{SSRC: testSSRC}}
		if err := cfg.complete(); err != nil {
			f.Fatal(err)
		}
		configs[gcm] = cfg
	}
	f.Fuzz(func(t *testing.T, b []byte, gcm bool) {
		if len(b) > maxReport {
			return
		}
		s := newSender(configs[gcm], nil, nil)
		s.receive(b, peer)
		if got := s.Stats(); got.Ignored.Forged != 1 || s.KeyFrameWanted() || got.Ignored.Malformed != 0 {
			t.Errorf("%+v, want it forged", got)
		}
	})
}
