package receiver

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

func TestReceiverCountsFramesAcrossTheWrapAndHandsThemOn(t *testing.T) {
	b := newBench(t)
	for i := range 30 {
		b.send(b.frame(i == 0, 0xfffff000+uint32(i)*3000))
		b.wait(40 * time.Millisecond)
	}
	got := b.Stats()
	if got.State != "streaming" || got.Frames != 30 || got.KeyFrames != 1 || got.Packets != 90 ||
		got.Expected != 90 || got.Lost != 0 || got.Reordered != 0 || got.Damaged != 0 ||
		got.Width != 320 || got.Height != 240 || got.PLIs != 0 {
		t.Errorf("Stats = %+v", got)
	}
	if code, words, err := b.Captured(netip.Addr{}); err != nil || code != 0 {
		t.Errorf("Captured = %d, %q, %v", code, words, err)
	}
	b.End()
	after := b.Stats()
	if after.State != stream.StateSilent || after.Frames != 30 {
		t.Errorf("Stats after End = %+v", after)
	}
	if s := b.sink; len(s.frames) != 30 || len(s.packets) != 90 || s.restarts != 0 || !s.closed {
		t.Errorf("the sink took %d frames and %d packets, %d restarts, closed %v", len(s.frames), len(s.packets),
			s.restarts, s.closed)
	}
}

func TestReceiverCountsWhatNobodyAskedFor(t *testing.T) {
	b := newBench(t)
	b.End()
	b.send(b.frame(true, 0))
	b.report(1<<32, 0)
	if got := b.Stats(); b.Totals().Unasked != 4 || got.Frames != 0 || got.Packets != 0 {
		t.Errorf("Stats = %+v, Totals = %+v, want 4 unasked and nothing else", got, b.Totals())
	}
	if err := b.Begin(nil, 0, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Begin(nil, 0, netip.Addr{}); !errors.Is(err, stream.ErrFull) {
		t.Errorf("second Begin of one place = %v, want ErrFull", err)
	}
}

func TestReceiverAsksForAKeyFrameAfterLossAndStopsAskingWhenItComes(t *testing.T) {
	b := newBench(t)
	b.report(1<<32, 0)
	b.send(b.frame(true, 0))
	b.wait(time.Second)
	b.rtcpOut.take(t)
	b.send(b.frame(false, 3000), 1) // the middle packet is lost
	b.send(b.frame(false, 6000))
	b.wait(gapTimeout + 2*dueInterval)
	plis := 0
	for _, p := range b.rtcpOut.take(t) {
		if pli, ok := p.(*rtcp.PictureLossIndication); ok && pli.MediaSSRC == 0x1234 {
			plis++
		}
	}
	if got := b.Stats(); plis != 1 || got.Frames != 2 || got.LostFrames != 1 || got.Damaged != 1 || got.Lost != 1 {
		t.Errorf("%d PLIs, Stats = %+v, want one PLI, a lost frame and a damaged one", plis, got)
	}
	b.wait(time.Second) // not faster than every 500 ms
	if got := b.Stats().PLIs; got != 3 {
		t.Errorf("%d PLIs after another second, want 3", got)
	}
	b.send(b.frame(true, 9000))
	b.wait(time.Second)
	if got := b.Stats(); got.PLIs != 3 || got.KeyFrames != 2 {
		t.Errorf("Stats = %+v, want no PLI after the key frame", got)
	}
	b.End()
	var damaged []bool
	for _, f := range b.sink.frames {
		damaged = append(damaged, f.Damaged)
	}
	if want := []bool{false, true, false}; !slices.Equal(damaged, want) {
		t.Errorf("frames handed on are damaged: %v, want %v", damaged, want)
	}
}

func TestReceiverPutsPacketsInOrder(t *testing.T) {
	b := newBench(t)
	b.send(b.frame(true, 0))
	f := b.frame(false, 3000)
	b.send([][]byte{f[1], f[0], f[2], f[2]}) // overtaken, and one twice
	if got := b.Stats(); got.Frames != 2 || got.Reordered != 1 || got.Lost != -1 {
		t.Errorf("Stats = %+v, want 2 frames, 1 reordered, -1 lost (one came twice)", got)
	}
}

func TestReceiverKeepsToOneSourceUntilItIsGone(t *testing.T) {
	b := newBench(t)
	b.send(b.frame(true, 0))
	other := playedSender{ssrc: 0x9999, seq: 7, packetizer: rtpvp8.NewPacketizer(1200, 0)}
	b.send(other.frame(true, 0))
	if got := b.Stats(); got.SSRC != 0x1234 || got.Foreign != 3 || got.Frames != 1 {
		t.Errorf("Stats = %+v, want the second source left out", got)
	}
	b.wait(senderTimeout + time.Second)
	if got := b.Stats(); got.State != "silent" {
		t.Errorf("State = %q, want silent", got.State)
	}
	if code, words, err := b.Captured(netip.Addr{}); code != 1 || err != nil {
		t.Errorf("Captured = %d, %q, %v after 3 s of silence, want 1", code, words, err)
	}
	b.send(other.frame(true, 0))
	if got := b.Stats(); got.SSRC != 0x9999 || got.Frames != 2 || got.State != "streaming" {
		t.Errorf("Stats = %+v, want the second source after the first, counts added", got)
	}
	b.control(&rtcp.Goodbye{Sources: []uint32{0x9999}})
	b.wait(byeSilence)
	third := playedSender{ssrc: 3, packetizer: rtpvp8.NewPacketizer(1200, 0)}
	b.send(third.frame(true, 0))
	if got := b.Stats(); got.SSRC != 3 || got.Frames != 3 {
		t.Errorf("Stats = %+v, want the third source soon after BYE", got)
	}
}

// A NAT gives the source a new port: the stream goes on for its sinks.
func TestReceiverFollowsASourceToANewPort(t *testing.T) {
	b := newBench(t)
	b.report(1<<32, 0)
	for i := range 30 {
		b.send(b.frame(i == 0, uint32(i)*3000))
		b.wait(40 * time.Millisecond)
	}
	moved := netip.AddrPortFrom(source1.Addr(), 40000)
	for i := 30; i < 90; i++ {
		for _, p := range b.frame(false, uint32(i)*3000) {
			b.takeRTP(p, moved)
		}
		b.wait(40 * time.Millisecond)
	}
	got := b.Stats()
	if got.State != "streaming" || b.sink.restarts != 0 || got.Address.Port() != 40000 || got.Frames != 90 ||
		got.Lost != 0 || got.Foreign != 0 {
		t.Errorf("Stats = %+v, want all frames: what came while the old port's silence was awaited was kept", got)
	}
}

func TestReceiverReportsAsRFC3550Wants(t *testing.T) {
	b := newBench(t)
	b.report(0x11223344_55667788, 0)
	b.send(b.frame(true, 0))
	for i := range 300 { // 10 s at 30 fps, 3,000 B: 720 kbit/s
		b.wait(2 * dueInterval)
		b.send(b.frame(false, uint32(i)*3000))
	}
	blocks := 0
	for _, p := range b.rtcpOut.take(t) {
		rr, ok := p.(*rtcp.ReceiverReport)
		if !ok {
			continue
		}
		blocks++
		if len(rr.Reports) != 1 || rr.Reports[0].SSRC != 0x1234 || rr.Reports[0].LastSenderReport != 0x33445566 ||
			rr.Reports[0].Delay == 0 || rr.Reports[0].FractionLost != 0 {
			t.Errorf("RR = %+v", rr)
		}
	}
	// 360/600 s, randomized to 0.5 s: about 20 in 12 s, the first after 2 s.
	if blocks < 12 || blocks > 24 {
		t.Errorf("%d reports in 12 s, want 12 to 24", blocks)
	}
	b.End()
	var bye bool
	for _, p := range b.rtcpOut.take(t) {
		_, is := p.(*rtcp.Goodbye)
		bye = bye || is
	}
	if !bye {
		t.Error("no BYE at the end")
	}
}

func TestIntervalFollowsTheBandwidth(t *testing.T) {
	b := newBench(t)
	for rate, want := range map[float64]time.Duration{
		0:         5 * time.Second,
		4_000:     11520 * time.Millisecond,
		60_000:    5 * time.Second,
		100_000:   3600 * time.Millisecond,
		600_000:   600 * time.Millisecond,
		5_000_000: 500 * time.Millisecond,
	} {
		b.session().rate = rate
		if got := b.session().reportInterval(); got.Round(time.Millisecond) != want.Round(time.Millisecond) {
			t.Errorf("interval at %v bit/s = %v, want %v", rate, got, want)
		}
	}
}

func TestReceiverReportsWithinASecond(t *testing.T) {
	for _, random := range []float64{0, 0.999} {
		b := newBench(t)
		b.session().random = func() float64 { return random }
		b.report(1<<32, 0)
		b.send(b.frame(true, 0))
		b.wait(200 * time.Millisecond)
		if got := b.rtcpOut.take(t); len(got) != 0 {
			t.Errorf("random %v: %v after 200 ms, want a report on more than that", random, got)
		}
		b.wait(500 * time.Millisecond)
		reports := 0
		for _, p := range b.rtcpOut.take(t) {
			if rr, ok := p.(*rtcp.ReceiverReport); ok && len(rr.Reports) == 1 && rr.Reports[0].SSRC == 0x1234 {
				reports++
			}
		}
		if reports == 0 {
			t.Errorf("random %v: no report after 700 ms", random)
		}
	}
}

func TestReceiverEstimatesDelayWithoutSynchronisedClocks(t *testing.T) {
	b := newBench(t)
	// The board lives in 1970; its report takes 5 ms on the way.
	board := uint64(2208988800+86400) << 32
	b.report(board, 90000)
	b.wait(100 * time.Millisecond)
	// Captured 60 ms after the report was sent, whole 105 ms after that: 45 ms, less the report's 5 ms.
	b.send(b.frame(true, 90000+60*90))
	got := b.Stats()
	if got.DelayCount != 1 || got.DelaySum.Round(time.Millisecond) != 40*time.Millisecond {
		t.Errorf("delay = %v of %d frames, want 40 ms of 1", got.DelaySum, got.DelayCount)
	}
}

func TestVerdictSaysThatAStreamIsNotRecorded(t *testing.T) {
	b := newBench(t)
	b.sink.problem = "nothing is recorded: no space left on device"
	b.send(b.frame(true, 0))
	code, words, err := b.Captured(netip.Addr{})
	if err != nil || code != 0 || !strings.Contains(words, b.sink.problem) || b.Stats().Problem != b.sink.problem {
		t.Errorf("Captured = %d, %q, %v", code, words, err)
	}
}

func TestServerReadsSocketsAndClosesThem(t *testing.T) {
	for name, c := range map[string]Config{
		"a pair": {Host: "127.0.0.1"}, "one port": {Host: "127.0.0.1", Mux: true},
		"a pool": {Host: "127.0.0.1", First: 23200, Last: 23299},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Listen(c)
			if err != nil {
				t.Fatal(err)
			}
			place, err := s.Begin(t.Context(), stream.Grant{ID: "a"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := contextWithStop(t)
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			out, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(place.RTPPort)))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			played := playedSender{ssrc: 1, packetizer: rtpvp8.NewPacketizer(1200, 0)}
			frames := func() uint64 { got, _ := s.Stats("a"); return got.Frames }
			for deadline := time.Now().Add(20 * time.Second); frames() == 0 && time.Now().Before(deadline); {
				for _, p := range played.frame(true, 0) {
					_, _ = out.Write(p)
				}
				time.Sleep(time.Millisecond)
			}
			if frames() == 0 {
				t.Error("no frame came through the socket")
			}
			stop()
			if err := <-done; err != nil {
				t.Errorf("Run = %v", err)
			}
			_, err = s.Begin(t.Context(), stream.Grant{ID: "b"})
			if !errors.Is(err, stream.ErrUnreachable) {
				t.Errorf("Begin after Run = %v, want ErrUnreachable", err)
			}
		})
	}
}

func FuzzRTP(f *testing.F) {
	s := playedSender{ssrc: 1, packetizer: rtpvp8.NewPacketizer(1200, 0)}
	for _, p := range s.frame(true, 0) {
		f.Add(p, p)
	}
	f.Fuzz(func(t *testing.T, p, q []byte) {
		b := newBench(t)
		b.takeRTP(p, source1)
		b.takeRTP(q, source1)
		b.wait(gapTimeout * 2)
		b.takeRTP(p, source1)
		b.End()
		if got := b.Stats(); got.Packets > 3 || got.Frames > 3 {
			t.Errorf("three datagrams made %+v", got)
		}
	})
}

func FuzzRTCP(f *testing.F) {
	sr, _ := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 0x1234, NTPTime: 1 << 40},
		&rtcp.Goodbye{Sources: []uint32{0x1234}}})
	f.Add(sr, sr)
	f.Fuzz(func(t *testing.T, p, q []byte) {
		b := newBench(t)
		b.takeRTCP(p, source1)
		b.send(b.frame(true, 0))
		b.takeRTCP(q, source1)
		b.wait(gapTimeout * 2)
		b.rtcpOut.take(t) // what we answer is RTCP again, whatever came
	})
}
