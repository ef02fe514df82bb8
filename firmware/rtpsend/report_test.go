// Hours of RTCP in fake time: what is sent, when, and what it says of time.

package rtpsend

import (
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
	"github.com/pion/rtcp"
)

// shape names the parts of a report.
func shape(parts []rtcp.Packet) (names []string) {
	for _, p := range parts {
		switch p.(type) {
		case *rtcp.SenderReport:
			names = append(names, "SR")
		case *rtcp.ReceiverReport:
			names = append(names, "RR")
		case *rtcp.SourceDescription:
			names = append(names, "SDES")
		case *rtcp.Goodbye:
			names = append(names, "BYE")
		default:
			names = append(names, "other")
		}
	}
	return names
}

func TestReportsKeepToTheirIntervalForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		begin := r.cfg.Monotonic()
		for range 5 * 3600 {
			r.frame(t, false, 1000)
			time.Sleep(200 * time.Millisecond)
		}
		r.Close()
		sent := r.reports.sent
		if sent[0].at != begin {
			t.Errorf("first report after %v, want at once", sent[0].at-begin)
		}
		for i, s := range sent {
			want := []string{"SR", "SDES"}
			if i == len(sent)-1 {
				want = append(want, "BYE")
			}
			if diff := cmp.Diff(want, shape(s.parts)); diff != "" {
				t.Errorf("report %d: want - got +\n%s", i, diff)
			}
		}
		// 360/600 = 0.6 s, times 0.5 to 1.5, over e - 1.5.
		least, most := 246*time.Millisecond, 739*time.Millisecond
		for i := 1; i < len(sent)-1; i++ {
			if d := sent[i].at - sent[i-1].at; d < least || d > most {
				t.Errorf("report %d came %v after the one before, want %v to %v", i, d, least, most)
			}
		}
		mean := time.Hour / time.Duration(len(sent))
		if mean < 450*time.Millisecond || mean > 750*time.Millisecond {
			t.Errorf("mean interval %v, want about 0.6 s", mean)
		}
	})
}

func TestSetClockMovesNeitherRTPTimeNorTimersNorRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 4000)
		before := r.lastSR(t)
		time.Sleep(100 * time.Millisecond)
		const jump = 56 * 365 * 24 * time.Hour
		r.wall.Store(int64(jump)) // NTP answers: it is not 1970 any more
		r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSenderReport: middle(before.NTPTime),
			Delay: 65536 * 60 / 1000}))
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			r.frame(t, false, 100)
		}
		synctest.Wait()
		if got := r.Stats().RTT; got < 40*time.Millisecond || got > 41*time.Millisecond {
			t.Errorf("RTT = %v, want 100 ms - 60 ms", got)
		}
		reports := r.reports.sent
		if n := len(reports); n < 3 || n > 10 {
			t.Errorf("%d reports in 2.1 s, want one each 0.25 to 0.74 s", n)
		}
		after := r.lastSR(t)
		elapsed := reports[len(reports)-1].at - reports[0].at
		if got, want := after.RTPTime-before.RTPTime, uint32(elapsed*90_000/time.Second); got != want {
			t.Errorf("RTP time went %d ticks in %v, want %d", got, elapsed, want)
		}
		if got, want := after.NTPTime>>32, session.NTP(r.start.Add(elapsed+jump))>>32; got != want {
			t.Errorf("SR says %d s of NTP time, want the clock as set, %d", got, want)
		}
		last := r.media.packets[len(r.media.packets)-1].Timestamp
		if got := last - r.media.packets[0].Timestamp; got != 2_100*90 {
			t.Errorf("RTP time of frames went %d ticks in 2.1 s, want 189000", got)
		}
	})
}

func TestSenderReportPairsTheMomentNotTheLatestPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		// The picture was captured 50 ms before it was sent.
		if err := r.Send(make([]byte, 3000), true, r.cfg.Monotonic()-50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		sr, p := r.lastSR(t), r.media.packets[0]
		if got := sr.RTPTime - p.Timestamp; got != 50*90 {
			t.Errorf("SR is %d ticks after the picture, want 4500", got)
		}
		if sr.NTPTime != session.NTP(time.Now()) {
			t.Errorf("SR says %x, want now, %x", sr.NTPTime, session.NTP(time.Now()))
		}
		octets := 0
		for _, p := range r.media.packets {
			octets += len(p.Payload)
		}
		if int(sr.PacketCount) != len(r.media.packets) || int(sr.OctetCount) != octets {
			t.Errorf("SR counts %d packets of %d bytes, want %d of %d", sr.PacketCount, sr.OctetCount,
				len(r.media.packets), octets)
		}
	})
}

func TestSilentSenderReportsAsReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.frame(t, true, 1000)
		time.Sleep(5 * time.Second) // the camera is unplugged
		r.frame(t, true, 1000)
		time.Sleep(time.Second)
		synctest.Wait()
		var heads string
		for _, s := range r.reports.sent {
			heads += shape(s.parts)[0][:1]
		}
		r.Close()
		// A second may hold a third report, which is an RR again.
		if !regexp.MustCompile(`^SSR{5,}SS?R*$`).MatchString(heads) {
			t.Errorf("reports are %s, want two SRs, RRs, and SRs again", heads)
		}
	})
}

func TestReportsGoOnWhenTheirSocketFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.reports.err = syscall.ENETUNREACH
		r.frame(t, true, 1000)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := r.Stats(); got.ReportErrors.Unreachable < 3 || got.ReportsSent != 0 {
			t.Errorf("%+v, want unreachable reports only", got)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close without a network: %v", err)
		}
	})
}

func TestCloseInterruptsSendAndNothingFollowsBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.frame(t, true, 4000)
		var stop atomic.Bool
		go func() {
			for !stop.Load() {
				_ = r.Send(make([]byte, 4000), false, r.cfg.Monotonic())
				time.Sleep(10 * time.Millisecond)
			}
		}()
		time.Sleep(995 * time.Millisecond)
		r.Close()
		packets := len(r.media.packets)
		time.Sleep(10 * time.Second)
		stop.Store(true)
		time.Sleep(time.Second)
		sent := r.reports.sent
		if diff := cmp.Diff([]string{"SR", "SDES", "BYE"}, shape(sent[len(sent)-1].parts)); diff != "" {
			t.Errorf("the last report: want - got +\n%s", diff)
		}
		if len(r.media.packets) != packets {
			t.Errorf("%d packets followed BYE", len(r.media.packets)-packets)
		}
	})
}
