package receiver

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/farend/stream"
)

// stamp gives the first packet of a frame its capture time.
func stamp(t *testing.T, packets [][]byte, captured time.Time) [][]byte {
	t.Helper()
	var p rtp.Packet
	if err := p.Unmarshal(packets[0]); err != nil {
		t.Fatal(err)
	}
	if err := p.SetExtension(captureTimeID, binary.BigEndian.AppendUint64(nil, ntpOf(captured))); err != nil {
		t.Fatal(err)
	}
	var err error
	if packets[0], err = p.Marshal(); err != nil {
		t.Fatal(err)
	}
	return packets
}

// The board's clock is 5 s off until NTP sets it; the reports and capture times of the moment say so.
// Each frame arrives 60 ms after its capture, each report after 8 ms.
func TestDelayIsTrueBeforeAndAfterTheBoardsClockIsSet(t *testing.T) {
	for _, wrong := range []time.Duration{
		5 * time.Second, -5 * time.Second, 300 * time.Millisecond, -300 * time.Millisecond, -56 * 365 * 24 * time.Hour,
	} {
		b := newBench(t)
		off, truth := wrong, 60*time.Millisecond
		const begin = 900_000
		for i := range 200 {
			if i == 100 {
				off = 0
			}
			ts := uint32(begin + i*3600)
			captured := b.clock.Add(-truth) // really
			if i%25 == 0 {
				sent := b.clock.Add(-8 * time.Millisecond)
				b.report(ntpOf(sent.Add(off)), ts+uint32((truth-8*time.Millisecond)*90/time.Millisecond))
			}
			b.send(stamp(t, b.frame(i == 0, ts), captured.Add(off)))
			b.wait(40 * time.Millisecond)
			got := b.Stats()
			if i < 30 || i >= 100 && i < 160 { // a second and a report later
				continue
			}
			if got.Delay == nil || (*got.Delay-truth).Abs() > 15*time.Millisecond {
				t.Fatalf("clock off by %v, frame %d: delay %v by %q, want %v within 15 ms",
					wrong, i, got.Delay, got.DelayBy, truth)
			}
			if want := stream.DelayByClock; i > 160 && got.DelayBy != want {
				t.Fatalf("clock set, frame %d: by %q, want %q", i, got.DelayBy, want)
			}
			if i < 100 && got.DelayBy != stream.DelayByReports {
				t.Fatalf("clock off by %v: by %q, want %q", wrong, got.DelayBy, stream.DelayByReports)
			}
		}
		last := b.sink.frames[len(b.sink.frames)-1]
		if d := last.At.Sub(last.CapturedAt); (d - truth).Abs() > 15*time.Millisecond {
			t.Errorf("the last frame was captured %v ago, want %v", d, truth)
		}
	}
}

func TestClockThatIsWrongGivesNoDelayWithoutReports(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		want string
	}{{0, stream.DelayByClock}, {5 * time.Second, stream.DelayUnsynced}, {-5 * time.Second, stream.DelayUnsynced}} {
		b := newBench(t)
		for i := range 60 {
			b.send(stamp(t, b.frame(i == 0, uint32(i*3600)), b.clock.Add(c.off-60*time.Millisecond)))
			b.wait(40 * time.Millisecond)
		}
		got := b.Stats()
		if known := got.Delay != nil; got.DelayBy != c.want || known != (c.want == stream.DelayByClock) {
			t.Errorf("clock off by %v: %v by %q, want %q", c.off, got.Delay, got.DelayBy, c.want)
		}
	}
}

func TestNTPTimesAreComparedOverTheEndOfAnEra(t *testing.T) {
	end := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	for _, d := range []time.Duration{time.Millisecond, -time.Millisecond, 3 * time.Second, -400 * time.Millisecond} {
		if got := ntpSince(ntpOf(end.Add(d/2)), ntpOf(end.Add(d/2-d))); (got - d).Abs() > time.Microsecond {
			t.Errorf("%v over the end of the era is %v", d, got)
		}
	}
}

// setAhead is a time as read after somebody set the clock of the wall ahead: its monotonic reading stays.
func setAhead(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	ahead := at
	*(*uint64)(unsafe.Pointer(&ahead)) += uint64(seconds) << 30 // package time, on Time.wall
	if ahead.Sub(at) != 0 || ahead.Unix() != at.Unix()+seconds {
		t.Fatalf("%v was to be %d s later than %v by the wall alone", ahead, seconds, at)
	}
	return ahead
}

func TestRoundTripIsTheSourcesAnswer(t *testing.T) {
	for name, set := range map[string]int64{"": 0, "the clock is set ahead meanwhile": 5} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.End()
			b.clock = time.Now()
			if err := b.Begin(nil, 0, netip.Addr{}); err != nil {
				t.Fatal(err)
			}
			b.report(1<<32, 0)
			b.send(b.frame(true, 0))
			b.wait(time.Second)
			var asked *rtcp.ExtendedReport
			for _, p := range b.rtcpOut.take(t) {
				if x, ok := p.(*rtcp.ExtendedReport); ok {
					asked = x
				}
			}
			if asked == nil {
				t.Fatal("no reference time was sent")
			}
			sent := asked.Reports[0].(*rtcp.ReceiverReferenceTimeReportBlock).NTPTimestamp
			took := ntpSince(ntpOf(b.clock), sent) + 500*time.Millisecond // all but 60 ms the source kept it
			b.clock = setAhead(t, b.clock.Add(500*time.Millisecond), set)
			b.control(&rtcp.ExtendedReport{
				SenderSSRC: b.playedSender.ssrc, Reports: []rtcp.ReportBlock{&rtcp.DLRRReportBlock{
					Reports: []rtcp.DLRRReport{{
						SSRC: asked.SenderSSRC, LastRR: uint32(sent >> 16),
						DLRR: uint32((took - 60*time.Millisecond).Seconds() * 65536),
					}},
				}},
			})
			if got := b.Stats().RTT; got == nil || (*got-60*time.Millisecond).Abs() > time.Millisecond {
				t.Errorf("RTT %v, want 60 ms", got)
			}
		})
	}
}

// Reports are made for one session after the other by a clock that was read before the first.
func TestDelaySinceAReportFitsItsField(t *testing.T) {
	for _, c := range []struct {
		name          string
		reportAt, now time.Duration
		want          uint32
	}{
		{"half a second", time.Second, 1500 * time.Millisecond, 32768},
		{"of this moment", time.Second, time.Second, 0},
		{"taken after the clock was read", time.Second, 999 * time.Millisecond, 0},
		{"of yesterday", 0, 24 * time.Hour, 1<<32 - 1},
	} {
		if got := delaySince(c.reportAt, c.now); got != c.want {
			t.Errorf("%s: %d/65536 s, want %d", c.name, got, c.want)
		}
	}
}

func TestFreezesAreCountedWhileTheSourceSends(t *testing.T) {
	b := newBench(t)
	ts := uint32(0)
	play := func(n int, lose bool) {
		for range n {
			f := b.frame(ts == 0, ts)
			if lose {
				b.send(f, 1)
			} else {
				b.send(f)
			}
			ts += 3600
			b.wait(40 * time.Millisecond)
		}
	}
	play(25, false)
	play(25, true) // a packet of each frame is lost: no picture for a second
	if got := b.Stats(); got.Freezes != 1 || !got.FrozenNow {
		t.Errorf("%d freezes, frozen %v, want one that lasts", got.Freezes, got.FrozenNow)
	}
	b.send(b.frame(true, ts))
	ts += 3600
	play(25, false)
	if got := b.Stats(); got.Freezes != 1 || got.FrozenNow {
		t.Errorf("%d freezes, frozen %v, want one that is over", got.Freezes, got.FrozenNow)
	}
	b.wait(time.Second) // the camera is dark
	play(25, false)
	if got := b.Stats(); got.Freezes != 1 {
		t.Errorf("%d freezes, want none of a source that sent nothing", got.Freezes)
	}
	for range 10 { // the network is gone
		b.frame(false, ts)
		b.wait(100 * time.Millisecond)
	}
	b.send(b.frame(true, ts))
	b.wait(2 * gapTimeout) // for what is missing
	if got := b.Stats(); got.Freezes != 2 {
		t.Errorf("%d freezes, want the outage to be one", got.Freezes)
	}
}
