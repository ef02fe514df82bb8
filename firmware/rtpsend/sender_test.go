// What leaves the RTP socket, and what happens when nothing can.

package rtpsend

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

func TestSequenceAndTimestampWrapAndOnlyTheLastPacketIsMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		for i := range 3 {
			if err := r.Send(make([]byte, 4000), i == 0, time.Duration(i)*100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(r.media.packets) != 9 {
			t.Fatalf("%d packets, want 3 frames of 3", len(r.media.packets))
		}
		for i, p := range r.media.packets {
			first := uint32(0xfffff000)
			want := struct {
				seq    uint16
				ts     uint32
				marker bool
			}{uint16(65534 + i), first + uint32(i/3)*9000, i%3 == 2}
			if p.SequenceNumber != want.seq || p.Timestamp != want.ts || p.Marker != want.marker {
				t.Errorf("packet %d: sequence %d, timestamp %#x, marker %v, want %+v", i, p.SequenceNumber, p.Timestamp,
					p.Marker, want)
			}
			if p.SSRC != testSSRC || p.PayloadType != packet.PayloadType || p.Version != 2 || p.Padding || p.Extension {
				t.Errorf("packet %d: header %+v", i, p.Header)
			}
		}
	})
}

func TestStartsAreRandomUnlessSet(t *testing.T) {
	var seen []First
	for range 4 {
		c := Config{RTP: testRTP, RTCP: testRTCP}
		if err := c.complete(); err != nil {
			t.Fatal(err)
		}
		if c.First.PictureID > 0x7fff || len(c.CNAME) != 16 {
			t.Errorf("PictureID %#x, CNAME %q, want 15 bits and 16 letters", c.First.PictureID, c.CNAME)
		}
		for _, other := range seen {
			if other.SSRC == c.First.SSRC || other.Timestamp == c.First.Timestamp {
				t.Errorf("two streams start with %+v and %+v", other, *c.First)
			}
		}
		seen = append(seen, *c.First)
	}
}

func TestOpenRefusesAddressesItCannotSendTo(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{
		{"nothing set", Config{}},
		{"port 0", Config{RTP: netip.AddrPortFrom(testRTP.Addr(), 0), RTCP: testRTCP}},
		{"the unspecified address", Config{RTP: testRTP, RTCP: netip.MustParseAddrPort("0.0.0.0:5005")}},
		{"two IP versions", Config{RTP: testRTP, RTCP: netip.MustParseAddrPort("[2001:db8::1]:5005")}},
		{"a local port that is none", Config{RTP: testRTP, RTCP: testRTCP, LocalRTCPPort: 65536}},
	} {
		if s, err := Open(c.cfg); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: Open = %v, %v, want ErrAddress", c.name, s, err)
		}
	}
	if _, err := Open(Config{RTP: testRTP, RTCP: testRTCP, CNAME: strings.Repeat("x", 256)}); err == nil {
		t.Error("Open took a CNAME of 256 bytes")
	}
}

func TestRefusedPacketIsSentAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.media.errs = []error{nil, syscall.ECONNREFUSED, nil}
		r.frame(t, true, 4000)
		if got := r.Stats(); len(r.media.packets) != 3 || got.SendErrors.Refused != 1 || got.Packets != 3 {
			t.Errorf("%d packets arrived, %+v, want 3 and 1 refused", len(r.media.packets), got)
		}
	})
}

func TestSendErrorsAreCountedByCauseAndLoggedOnceAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		var log bytes.Buffer
		r.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		r.media.errs = []error{
			syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, // frame 1
			syscall.EPERM, nil, syscall.ENOBUFS, // frame 2
		}
		for range 3 {
			r.frame(t, false, 4000)
			time.Sleep(outageQuiet)
		}
		got := r.Stats()
		if want := (udp.Errors{Unreachable: 3, Other: 2}); got.SendErrors != want || got.Frames != 3 ||
			got.Packets != 4 {
			t.Errorf("%+v, want %+v, 3 frames, 4 packets", got, want)
		}
		var octets uint64
		for _, p := range r.media.packets {
			octets += uint64(len(p.Payload))
		}
		if got.Octets != octets {
			t.Errorf("Octets = %d, want the %d of payload that left", got.Octets, octets)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("%d log lines, want one where the outage begins and one where it ends:\n%s", n, &log)
		}
	})
}

// A receiver that does not run is named when it begins to be missed, every minute, and once when it is
// back; so is a cable that is out.
func TestOutageIsSaidEveryMinuteAndItsEndOnce(t *testing.T) {
	for _, c := range []struct {
		err             error
		outage          Outage
		words, overWord string
	}{
		{syscall.ECONNREFUSED, NobodyListens, "nobody listens at the receiver", "no longer refuses"},
		{syscall.ENETUNREACH, Unsent, "packets do not leave", "packets leave again"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.Close()
			var log bytes.Buffer
			r.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			for i := range 2 * 200 { // 200 s without, 200 s with the receiver; one ICMP answer a second
				if i < 200 {
					r.media.errs = []error{c.err}
				}
				r.frame(t, false, 100)
				if want := i < 200; (r.Outage() == c.outage) != want && (i < 200 || i > 210) {
					t.Errorf("second %d: outage %v", i, r.Outage())
				}
				time.Sleep(time.Second)
			}
			said, over := strings.Count(log.String(), c.words), strings.Count(log.String(), c.overWord)
			if said != 4 || over != 1 || !strings.Contains(log.String(), "remedy=") {
				t.Errorf("%d lines in 200 s and %d at the end, want 4 and 1, with a remedy:\n%s", said, over, &log)
			}
		})
	}
}

// With rtcp-mux the goroutine that reads RTCP may meet the refusal before the one that sends.
func TestRefusalThatTheRTCPSocketMeetsIsAnOutageToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 100)
		r.reports.failure <- syscall.ECONNREFUSED
		synctest.Wait()
		r.frame(t, false, 100)
		if r.Outage() != NobodyListens {
			t.Errorf("outage %v, want that nobody listens", r.Outage())
		}
	})
}

func TestHostThatRefusesOnceASecondIsOneOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		var log bytes.Buffer
		r.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		for i := range 300 { // 10 s at 30 fps, one ICMP answer each second
			if i%30 == 0 {
				r.media.errs = []error{syscall.ECONNREFUSED}
			}
			r.frame(t, false, 100)
			time.Sleep(time.Second / 30)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d log lines in 10 s, want the one that says where it began:\n%s", n, &log)
		}
	})
}

func TestDroppedFrameSendsNothingAndSilentSenderSaysNoBye(t *testing.T) {
	r := newRig(t)
	if err := r.Send(nil, false, 0); err != nil {
		t.Errorf("Send(nil) = %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if len(r.media.packets) != 0 || len(r.reports.sent) != 0 {
		t.Errorf("%d RTP and %d RTCP packets left, want none", len(r.media.packets), len(r.reports.sent))
	}
	if err := r.Send([]byte{1}, false, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close = %v, want ErrClosed", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
}

func TestUnreachableReceiverRenewsTheSocketOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		for range 90 { // 3 s at 30 fps
			r.media.errs = []error{syscall.ENETUNREACH}
			r.frame(t, false, 100)
			time.Sleep(time.Second / 30)
		}
		if r.media.renewed != 3 {
			t.Errorf("renewed %d times in 3 s, want 3", r.media.renewed)
		}
		r.media.errs = []error{syscall.ECONNREFUSED}
		time.Sleep(time.Second)
		r.frame(t, false, 100)
		if r.media.renewed != 3 {
			t.Error("renewed although there is a route: the receiver would see another port")
		}
	})
}

// listen is a UDP socket on a loopback address, or skips.
func listen(t testing.TB, host string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		t.Skipf("needs %s on the loopback interface: %v", host, err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestStreamCrossesRealSocketsOfBothIPVersions(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		media, rtpAt := listen(t, host)
		reports, rtcpAt := listen(t, host)
		s, err := Open(Config{RTP: rtpAt, RTCP: rtcpAt, MTU: 1500})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(make([]byte, 4000), true, monotonic()); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		for i := range 3 {
			_ = media.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := media.Read(b); err != nil || n < 1300 {
				t.Errorf("%s: packet %d: %d bytes, %v", host, i, n, err)
			}
		}
		_ = reports.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := reports.Read(b); err != nil || b[1] != 200 {
			t.Errorf("%s: report of %d bytes, type %d, %v, want an SR", host, n, b[1], err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close: %v", host, err)
		}
	}
}

func TestNobodyListeningIsCountedAndEndsNothing(t *testing.T) {
	media, rtpAt := listen(t, "127.0.0.1")
	_, rtcpAt := listen(t, "127.0.0.1")
	media.Close()
	s, err := Open(Config{RTP: rtpAt, RTCP: rtcpAt})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 5 {
		if err := s.Send(make([]byte, 4000), true, time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats().SendErrors; got.Refused == 0 || got.Other != 0 {
		t.Errorf("%+v, want refused packets only", got)
	}
}

func TestSendAllocatesNothing(t *testing.T) {
	s, frame := loopback(t)
	at := time.Duration(0)
	if n := testing.AllocsPerRun(200, func() {
		at += 33 * time.Millisecond
		if err := s.Send(frame, true, at); err != nil {
			t.Fatal(err)
		}
		s.KeyFrameWanted()
	}); n != 0 {
		t.Errorf("%v allocations for a frame of 14 packets, want 0", n)
	}
}

// loopback is a Sender into a socket that nobody reads, and a frame of 14 packets.
func loopback(t testing.TB) (*Sender, []byte) {
	t.Helper()
	_, rtpAt := listen(t, "127.0.0.1")
	_, rtcpAt := listen(t, "127.0.0.1")
	// Reports are made in another goroutine and may allocate: none within the test.
	s, err := Open(Config{RTP: rtpAt, RTCP: rtcpAt, Bandwidth: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, make([]byte, 20_000)
}

func BenchmarkSend(b *testing.B) {
	s, frame := loopback(b)
	for _, size := range []int{2_500, 20_000} {
		b.Run(map[int]string{2_500: "2500", 20_000: "20000"}[size], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Send(frame[:size], false, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
