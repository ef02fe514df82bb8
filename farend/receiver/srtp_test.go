package receiver

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

func TestReceiverOpensWhatTheSourceSealedAndNothingElse(t *testing.T) {
	for profile, kind := range map[string]srtp.ProtectionProfile{
		wire.ProfileGCM: srtp.ProtectionProfileAeadAes128Gcm,
		wire.ProfileCM:  srtp.ProtectionProfileAes128CmHmacSha1_80,
	} {
		n := wire.KeySize(profile)
		k := &wire.SRTP{Profile: profile, Source: bytes.Repeat([]byte{1}, n), Receiver: bytes.Repeat([]byte{2}, n)}
		context := func(key []byte) *srtp.Context {
			c, err := srtp.CreateContext(key[:16], key[16:], kind)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		b := newBench(t)
		b.End()
		if err := b.Begin(k, 0, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		out, back := context(k.Source), context(k.Receiver)
		seal := func(plain [][]byte) (sealed [][]byte) {
			for _, p := range plain {
				s, err := out.EncryptRTP(nil, p, nil)
				if err != nil {
					t.Fatal(err)
				}
				sealed = append(sealed, s)
			}
			return sealed
		}
		raw, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: b.playedSender.ssrc, NTPTime: 1 << 32}})
		if err != nil {
			t.Fatal(err)
		}
		report, err := out.EncryptRTCP(nil, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.takeRTCP(report, source1)
		b.takeRTCP(raw, source1)    // in the clear
		b.takeRTCP(report, source1) // twice
		frame := seal(b.frame(true, 0))
		b.send(frame)
		b.send(frame)                // twice
		b.send(b.frame(false, 3000)) // in the clear
		b.wait(3 * time.Second)
		got := b.Stats()
		if got.Frames != 1 || got.Packets != 3 || got.SenderReports != 1 || got.Forged != 2+3 || got.Repeated != 3 ||
			got.Malformed != 0 {
			t.Errorf("%s: %+v, want one frame, one report, 5 forged and 3 again", profile, got)
		}
		if len(b.rtcpOut.sent) == 0 {
			t.Errorf("%s: no report went back", profile)
		}
		for _, p := range b.rtcpOut.sent {
			if _, err := back.DecryptRTCP(nil, p, nil); err != nil {
				t.Errorf("%s: a report that the source cannot read: %v", profile, err)
			}
		}
	}
}

func TestReceiverRefusesKeysThatDoNotFit(t *testing.T) {
	b := newBench(t)
	b.End()
	if err := b.Begin(&wire.SRTP{Profile: wire.ProfileGCM, Source: make([]byte, 30),
		Receiver: make([]byte, 28)}, 0, netip.Addr{}); err == nil {
		t.Error("Begin took a key of 30 bytes for AES-GCM")
	}
}

// FuzzSealed has no key: nothing that comes is a packet.
func FuzzSealed(f *testing.F) {
	k := &wire.SRTP{Profile: wire.ProfileGCM, Source: make([]byte, 28), Receiver: bytes.Repeat([]byte{1}, 28)}
	s := playedSender{ssrc: 1, packetizer: rtpvp8.NewPacketizer(1200, 0)}
	f.Add(s.frame(true, 0)[0])
	f.Add([]byte{0x80, 200, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newBench(t)
		r.End()
		if err := r.Begin(k, 0, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		r.takeRTP(b, source1)
		r.takeRTCP(b, source1)
		got := r.Stats()
		if got.Forged+got.Malformed+r.Totals().Malformed != 2 || got.Packets != 0 || got.SenderReports != 0 {
			t.Errorf("%+v, want both left out", got)
		}
	})
}
