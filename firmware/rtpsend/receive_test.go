// What the receiver's RTCP changes, and all that must change nothing.

package rtpsend

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpsend/admission"
)

func reception(r rtcp.ReceptionReport) rtcp.Packet {
	return &rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{r}}
}

func pli(ssrc uint32) rtcp.Packet { return &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: ssrc} }

func fir(ssrc uint32, number uint8) rtcp.Packet {
	return &rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: ssrc, SequenceNumber: number}}}
}

func marshal(t testing.TB, parts ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReceptionReportIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		lsr := middle(r.lastSR(t).NTPTime)
		time.Sleep(150 * time.Millisecond)
		r.feed(t, reception(rtcp.ReceptionReport{
			SSRC: testSSRC, FractionLost: 64, TotalLost: 0xffffff, LastSequenceNumber: 0x1ffff,
			Jitter: 900, LastSenderReport: lsr, Delay: 65536 / 8,
		}))
		synctest.Wait()
		got := r.Stats()
		want := Stats{
			Reports: 1, RTT: 25 * time.Millisecond, Loss: 0.25, Lost: -1, Jitter: 10 * time.Millisecond,
			HighestSequence: 0x1ffff,
		}
		sent := cmpopts.IgnoreFields(Stats{}, "Frames", "Packets", "Octets", "ReportsSent")
		if diff := cmp.Diff(want, got, sent); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	})
}

func TestRoundTripIgnoresReportsThatWereNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		lsr := middle(r.lastSR(t).NTPTime)
		time.Sleep(50 * time.Millisecond)
		for _, rr := range []rtcp.ReceptionReport{
			{SSRC: testSSRC},
			{SSRC: testSSRC, LastSenderReport: lsr + 1},
			{SSRC: testSSRC, LastSenderReport: lsr, Delay: 65536},     // kept longer than it is old
			{SSRC: testSSRC, LastSenderReport: lsr, Delay: 1<<32 - 1}, // 18 hours
		} {
			r.feed(t, reception(rr))
		}
		synctest.Wait()
		if got := r.Stats(); got.RTT != 0 || got.Reports != 4 {
			t.Errorf("RTT = %v after %d reports, want 0 after 4", got.RTT, got.Reports)
		}
	})
}

func TestKeyFrameRequestsArePassedOnAtMostOnceIn300ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		time.Sleep(time.Second)
		granted := 0
		for i := range 100 { // a PLI each 10 ms for a second
			r.feed(t, pli(testSSRC))
			synctest.Wait()
			if r.KeyFrameWanted() {
				granted++
				if r.KeyFrameWanted() {
					t.Errorf("request %d was given out twice", i)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		if granted != 4 || r.Stats().PLIs != 100 {
			t.Errorf("%d key frames for %d PLIs in a second, want 4 for 100", granted, r.Stats().PLIs)
		}
	})
}

func TestFIRIsHeardOnceForEachNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		var got []bool
		for _, number := range []uint8{255, 255, 0, 0, 1} {
			time.Sleep(time.Second)
			r.feed(t, fir(testSSRC, number))
			synctest.Wait()
			got = append(got, r.KeyFrameWanted())
		}
		if diff := cmp.Diff([]bool{true, false, true, false, true}, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		if s := r.Stats(); s.FIRs != 3 || s.FIRRepeats != 2 {
			t.Errorf("%d FIRs, %d repeats, want 3 and 2", s.FIRs, s.FIRRepeats)
		}
	})
}

func TestRTCPThatIsNotOursToHearChangesNothing(t *testing.T) {
	requests := []rtcp.Packet{
		reception(rtcp.ReceptionReport{SSRC: testSSRC, FractionLost: 255}), pli(testSSRC), fir(testSSRC, 1),
	}
	ours := marshal(t, requests...)
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	padded := marshal(t, pli(testSSRC), pli(testSSRC))
	padded[0] |= 0x20
	for _, c := range []struct {
		name string
		from netip.AddrPort
		b    []byte
		want Ignored
	}{
		{"another host", netip.MustParseAddrPort("192.0.2.2:5005"), ours, Ignored{Stranger: 1}},
		{"another IP version", netip.MustParseAddrPort("[2001:db8::1]:5005"), ours, Ignored{Stranger: 1}},
		{"more than an Ethernet frame", peer, make([]byte, maxReport+1), Ignored{TooLarge: 1}},
		{"nothing", peer, nil, Ignored{Malformed: 1}},
		{"three bytes", peer, ours[:3], Ignored{Malformed: 1}},
		{"cut at the end", peer, cut(ours, 1), Ignored{Malformed: 1}},
		{"an RTP packet", peer, []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Ignored{Malformed: 1}},
		{"version 1", peer, append([]byte{ours[0] ^ 0xc0}, ours[1:]...), Ignored{Malformed: 1}},
		{"padding before the end", peer, padded, Ignored{Malformed: 1}},
		{"a PLI without SSRC", peer, []byte{0x81, 206, 0, 0}, Ignored{Malformed: 1}},
		{"a FIR without entry", peer, []byte{0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0}, Ignored{Malformed: 1}},
		{"31 report blocks announced, none there", peer, []byte{0x9f, 201, 0, 1, 0, 0, 0, 1}, Ignored{Malformed: 1}},
		{"another stream", peer, marshal(t, reception(rtcp.ReceptionReport{SSRC: 7}), pli(7), fir(7, 1)),
			Ignored{OtherSSRC: 3}},
		{"a NACK for another stream", peer,
			marshal(t, &rtcp.TransportLayerNack{MediaSSRC: 7, Nacks: []rtcp.NackPair{{PacketID: 1}}}),
			Ignored{OtherSSRC: 1}},
		{"a NACK that names no packet", peer, []byte{0x81, 205, 0, 2, 0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78},
			Ignored{Malformed: 1}},
		{"types that nobody asked for", peer,
			append(marshal(t, &rtcp.RapidResynchronizationRequest{MediaSSRC: testSSRC}),
				0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 'G', 'O', 'O', 'G'), Ignored{OtherType: 2}},
		{"an estimate for another stream", peer, marshal(t, remb(1e6, 7)), Ignored{OtherSSRC: 1}},
		{"an estimate for no stream", peer, marshal(t, remb(1e6)), Ignored{OtherSSRC: 1}},
		{"an estimate for two streams, one there", peer, []byte{
			0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 2, 0, 0, 9, 0x12, 0x34, 0x56, 0x78,
		}, Ignored{Malformed: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.receive(c.b, c.from)
			got := r.Stats()
			if diff := cmp.Diff(Stats{Ignored: c.want}, got); diff != "" || r.KeyFrameWanted() {
				t.Errorf("want - got +\n%s", diff)
			}
		})
	}
}

func TestFormsThatPeersReallySendAreHeard(t *testing.T) {
	mapped := netip.AddrPortFrom(netip.AddrFrom16(peer.Addr().As16()), 9)
	cname := rtcp.NewCNAMESourceDescription(1, "x")
	for _, c := range []struct {
		name string
		from netip.AddrPort
		b    []byte
	}{
		{"GStreamer: RR, SDES, PLI in one packet", peer, marshal(t, &rtcp.ReceiverReport{SSRC: 1}, cname,
			pli(testSSRC))},
		{"Janus: a bare PLI", peer, marshal(t, pli(testSSRC))},
		{"from an IPv4 address in IPv6 form", mapped, marshal(t, pli(testSSRC))},
		{"in an SR of a receiver that sends too", peer, marshal(t, &rtcp.SenderReport{SSRC: 1}, pli(testSSRC))},
	} {
		r := newRig(t)
		r.receive(c.b, c.from)
		if got := r.Stats(); !r.KeyFrameWanted() || got.Ignored != (Ignored{}) {
			t.Errorf("%s: no key frame wanted, ignored %+v", c.name, got.Ignored)
		}
	}
}

func TestFloodIsDroppedUnparsedAndPassesWithItsSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		time.Sleep(time.Minute)
		for range 10_000 {
			// No stranger uses up the quota.
			r.receive(marshal(t, pli(testSSRC)), netip.MustParseAddrPort("198.51.100.1:1"))
			r.receive(marshal(t, pli(testSSRC)), peer)
		}
		got := r.Stats()
		if got.PLIs != admission.KnownQuota || got.Ignored.TooMany != 10_000-admission.KnownQuota ||
			got.Ignored.Stranger != 10_000 {
			t.Errorf("%d PLIs, %+v, want %d parsed", got.PLIs, got.Ignored, admission.KnownQuota)
		}
		time.Sleep(time.Second)
		r.receive(marshal(t, pli(testSSRC)), peer)
		if got := r.Stats().PLIs; got != admission.KnownQuota+1 {
			t.Errorf("a second later %d PLIs, want %d", got, admission.KnownQuota+1)
		}
	})
}

// 239 packets of garbage a second from the receiver's address once silenced its reports of every 5 s,
// and the stream paused because of that. So did a flood of what is well-formed and about another stream.
func TestFloodFromTheReceiversAddressSilencesNoReport(t *testing.T) {
	for name, flood := range map[string][]byte{
		"garbage":              make([]byte, 200),
		"another stream":       marshal(t, reception(rtcp.ReceptionReport{SSRC: 7})),
		"empty reports":        marshal(t, &rtcp.ReceiverReport{SSRC: 1}),
		"BYE, of our SSRC":     marshal(t, &rtcp.Goodbye{Sources: []uint32{testSSRC}}),
		"a PLI of another one": marshal(t, &rtcp.PictureLossIndication{SenderSSRC: 99, MediaSSRC: testSSRC}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.Close()
				const frames = 60 * 10
				for i := range uint32(frames) {
					r.frame(t, i == 0, 1000)
					for range 239 / 10 {
						r.receive(flood, netip.AddrPortFrom(peer.Addr(), peer.Port()+1))
					}
					if i%50 == 0 {
						r.receive(marshal(t, reception(rtcp.ReceptionReport{
							SSRC: testSSRC, LastSequenceNumber: 65534 + i})), peer)
					}
					time.Sleep(100 * time.Millisecond)
				}
				got := r.Stats()
				if got.Reports != frames/50 || got.Withheld != 0 || got.Breaks != 0 ||
					got.BYEs > 60*admission.OtherQuota {
					t.Errorf("%+v, want %d reports and no break", got, frames/50)
				}
			})
		})
	}
}

func TestByeOfTheReceiverIsCounted(t *testing.T) {
	r := newRig(t)
	r.receive(marshal(t, &rtcp.ReceiverReport{SSRC: 1}, &rtcp.Goodbye{Sources: []uint32{1}}), peer)
	if got := r.Stats().BYEs; got != 1 {
		t.Errorf("%d BYEs, want 1", got)
	}
}

// FuzzReceive feeds bytes of the receiver: nothing may fall over, and where we ignore
// nothing, pion reads the same requests and reports.
func FuzzReceive(f *testing.F) {
	f.Add(marshal(f, reception(rtcp.ReceptionReport{SSRC: testSSRC, TotalLost: 5}), pli(testSSRC), fir(testSSRC, 3)))
	f.Add(marshal(f, &rtcp.SenderReport{SSRC: 1}, &rtcp.Goodbye{Sources: []uint32{1}}))
	f.Add([]byte{0x81, 206, 0, 2, 0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78})
	cfg := Config{RTP: testRTP, RTCP: testRTCP, First: &First{SSRC: testSSRC}}
	if err := cfg.complete(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2*maxReport {
			return
		}
		s := newSender(cfg, nil, nil)
		s.receive(b, peer)
		got := s.Stats()
		if want := got.PLIs+got.FIRs > 0; s.KeyFrameWanted() != want {
			t.Errorf("key frame wanted: %v, want %v: %+v", !want, want, got)
		}
		parts, err := rtcp.Unmarshal(b)
		var plis, reports uint64
		for _, p := range parts {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				if p.MediaSSRC == testSSRC {
					plis++
				}
			case *rtcp.ReceiverReport:
				for _, r := range p.Reports {
					if r.SSRC == testSSRC {
						reports++
					}
				}
			}
		}
		if err == nil && got.Ignored == (Ignored{}) && (got.PLIs != plis || got.Reports < reports) {
			t.Errorf("% x: pion reads %d PLIs and %d reports, we %d and %d", b, plis, reports, got.PLIs, got.Reports)
		}
		if got.Loss < 0 || got.Loss >= 1 || got.RTT != 0 || got.Jitter < 0 {
			t.Errorf("impossible figures: %+v", got)
		}
	})
}
