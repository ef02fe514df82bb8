package receiver

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// resendOf wraps a datagram without extensions as RFC 4588 wants it.
func resendOf(p []byte, ssrc uint32, number uint16) []byte {
	out := append(append(bytes.Clone(p[:rtpHeaderMin]), p[2], p[3]), p[rtpHeaderMin:]...)
	out[1] = out[1]&markerBit | resendType
	binary.BigEndian.PutUint16(out[2:], number)
	binary.BigEndian.PutUint32(out[8:], ssrc)
	return out
}

// lose sends a key frame and a frame without its middle packet, which is requested then.
func (b *bench) lose() (lost []byte) {
	b.report(1<<32, 0)
	b.send(b.frame(true, 0))
	f := b.frame(false, 3000)
	b.send(f, 1)
	b.wait(2 * dueInterval)
	return f[1]
}

func TestResendHealsAFrameAndStaysALossInReports(t *testing.T) {
	b := newBench(t)
	lost := b.lose()
	b.takeRTP(resendOf(lost, 77, 9), source1)
	b.takeRTP(resendOf(lost, 77, 10), source1) // no longer needed
	got := b.Stats()
	if got.Frames != 2 || got.Resent != 2 || got.Healed != 1 || got.Duplicates != 1 || got.Packets != 6 ||
		got.Lost != 1 || got.Foreign != 0 || got.PLIs != 0 {
		t.Errorf("%+v, want both frames, one of them by a resend, and one packet lost on the way", got)
	}
	if last := b.sink.packets[len(b.sink.packets)-1]; !bytes.Equal(last, lost) {
		t.Errorf("the sink got % x, want the packet as it was first sent: % x", last[:20], lost[:20])
	}
	if got.RTT == nil || *got.RTT > 2*dueInterval {
		t.Errorf("RTT %v, want no more than the time to the resend", got.RTT)
	}
	b.rtcpOut.take(t)
	b.wait(time.Second)
	for _, p := range b.rtcpOut.take(t) {
		if rr, ok := p.(*rtcp.ReceiverReport); ok && len(rr.Reports) == 1 && rr.Reports[0].TotalLost == 1 &&
			rr.Reports[0].FractionLost > 0 {
			return
		}
	}
	t.Error("no report of the loss")
}

// A packet that was only overtaken comes just after the request and answers nothing, before the first resend
// and after it.
func TestRoundTripIsOfResendsWhereTheyAreKnownAsSuch(t *testing.T) {
	b := newBench(t)
	b.takeRTP(b.lose(), source1) // at the moment of the request
	for i := range 4 {
		f := b.frame(false, uint32(6000+3000*i))
		b.send(f, 1)
		b.wait(2 * dueInterval)
		if i%2 == 1 {
			b.takeRTP(f[1], source1)
			continue
		}
		b.wait(dueInterval)
		b.takeRTP(resendOf(f[1], 77, uint16(9+i)), source1)
	}
	if got := b.Stats(); got.Healed != 5 || got.RTT == nil || *got.RTT < 2*dueInterval {
		t.Errorf("RTT %v of %d packets that healed, want that of the resends: %+v", got.RTT, got.Healed, got)
	}
}

func TestResendsOfNobodyAreLeftOut(t *testing.T) {
	b := newBench(t)
	lost := b.lose()
	other := bytes.Clone(lost)
	other[3] += 50 // a packet that nobody misses
	b.takeRTP(resendOf(other, 66, 1), source1)
	b.takeRTP(resendOf(lost, 66, 1), strangerAt) // of somebody who cannot know
	b.takeRTP(resendOf(lost, 66, 1)[:13], source1)
	if got := b.Stats(); got.Frames != 1 || got.Resent != 0 || got.Foreign != 3 {
		t.Errorf("%+v, want three packets left out", got)
	}
	b.takeRTP(resendOf(lost, 77, 1), source1)
	b.takeRTP(resendOf(other, 66, 2), source1) // another SSRC than the one that is known now
	if got := b.Stats(); got.Frames != 2 || got.Resent != 1 || got.Foreign != 4 {
		t.Errorf("%+v, want the resend taken, and one of another SSRC left out", got)
	}
}

// FuzzResend: whatever comes as a resend, no more frames come out than went in.
func FuzzResend(f *testing.F) {
	s := playedSender{ssrc: 1, packetizer: rtpvp8.NewPacketizer(1200, 0)}
	f.Add(resendOf(s.frame(true, 0)[0], 77, 1), uint16(1))
	f.Add([]byte{0xbf, 97, 0, 1, 0, 0, 0, 1, 0, 0, 0, 77, 0xbe, 0xde, 0, 1, 0x10, 0, 0, 0, 0, 0, 1}, uint16(0))
	f.Fuzz(func(t *testing.T, p []byte, number uint16) {
		b := newBench(t)
		lost := b.lose()
		if len(p) > 2 {
			p[1] = p[1]&markerBit | resendType
		}
		b.takeRTP(p, source1)
		b.takeRTP(resendOf(lost, 77, number), source1)
		b.wait(gapTimeout * 2)
		if got := b.Stats(); got.Frames > 2 || got.Packets > 7 {
			t.Errorf("%+v", got)
		}
	})
}
