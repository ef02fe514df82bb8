// Time, intervals, limits and SDP: plain functions.

package rtpsend

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestIntervalFollowsRFC3550(t *testing.T) {
	for _, c := range []struct {
		name string
		s    session
		want time.Duration
	}{
		{"reduced minimum at 600 kbit/s", session{bandwidth: 600_000, members: 2, senders: 1, weSent: true, averageSize: 100}, 600 * time.Millisecond},
		{"reduced minimum at 72 kbit/s is the fixed one", session{bandwidth: 72_000, members: 2, senders: 1, weSent: true, averageSize: 10}, 5 * time.Second},
		{"never above 5 s by the minimum", session{bandwidth: 30_000, members: 2, senders: 1, weSent: true, averageSize: 10}, 5 * time.Second},
		{"bandwidth binds: 2 x 100 bytes at 5 % of 4 kbit/s", session{bandwidth: 4_000, members: 2, senders: 1, weSent: true, averageSize: 100}, 8 * time.Second},
		{"a quarter for few senders", session{bandwidth: 4_000, members: 8, senders: 1, weSent: true, averageSize: 100}, 16 * time.Second},
		{"three quarters for receivers", session{bandwidth: 4_000, members: 7, senders: 1, averageSize: 100}, 32 * time.Second},
	} {
		if got := c.s.interval(); (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%s: interval() = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExpiryIsReconsideredWhenTheIntervalGrew(t *testing.T) {
	draws := []float64{0.5, 0.5, 0.5, 0.5}
	s := schedule{random: func() float64 { r := draws[0]; draws = draws[1:]; return r }}
	s.start(0, time.Second)
	first := s.next
	if want := randomized(time.Second, 0.5); first != want {
		t.Errorf("next = %v, want %v", first, want)
	}
	if s.expire(first-1, time.Second) {
		t.Error("sent before its time")
	}
	if s.expire(first, 2*time.Second) || s.next != 2*first {
		t.Errorf("next = %v after the interval doubled, want %v and no report", s.next, 2*first)
	}
	if !s.expire(2*first, 2*time.Second) || s.last != 2*first {
		t.Errorf("no report at %v", 2*first)
	}
}

func TestTicksAreExactAndWrap(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want uint32
	}{
		{0, 0}, {time.Second, 90_000}, {time.Second / 30, 2999}, {100 * time.Microsecond, 9},
		{time.Second << 32 / 90_000, math.MaxUint32},
		{30 * 365 * 24 * time.Hour, 3768324096}, // 946,080,000 s * 90,000 modulo 2^32
	} {
		if got := ticks(c.d); got != c.want {
			t.Errorf("ticks(%v) = %d, want %d", c.d, got, c.want)
		}
	}
	if got := ofTicks(4500); got != 50*time.Millisecond {
		t.Errorf("ofTicks(4500) = %v, want 50 ms", got)
	}
}

func TestNTPTimeKnowsItsErasAndFractions(t *testing.T) {
	for _, c := range []struct {
		at   string
		want uint64
	}{
		{"1970-01-01T00:00:00Z", 2208988800 << 32},
		{"2026-01-01T00:00:00.5Z", 3976214400<<32 | 1<<31},
		{"2036-02-07T06:28:16Z", 0}, // era 1 begins
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := ntpTime(at); got != c.want {
			t.Errorf("ntpTime(%s) = %#x, want %#x", c.at, got, c.want)
		}
	}
}

func TestOnlyTheLatestReportsAreRemembered(t *testing.T) {
	var s sentReports
	if _, ok := s.roundTrip(time.Second, 0, 0); ok {
		t.Error("a round trip before the first report")
	}
	for i := range uint64(reportsKept + 3) {
		s.add(i<<16, time.Duration(i)*time.Second)
	}
	if _, ok := s.roundTrip(time.Minute, 2, 0); ok {
		t.Error("report 2 is remembered after 32 more")
	}
	if rtt, ok := s.roundTrip(time.Minute, 3, 0); !ok || rtt != 57*time.Second {
		t.Errorf("roundTrip to report 3 = %v, %v, want 57 s", rtt, ok)
	}
}

func TestKeyFramesAreSpacedByTheRoundTrip(t *testing.T) {
	var k keyFrames
	const ms = time.Millisecond
	steps := []struct {
		name string
		do   func() bool
		want bool
	}{
		{"nobody asked", func() bool { return k.take(0, 0, false) }, false},
		{"the first request at once", func() bool { k.request(); return k.take(0, 0, false) }, true},
		{"too early", func() bool { k.request(); return k.take(299*ms, 0, false) }, false},
		{"kept until its time", func() bool { return k.take(300*ms, 0, false) }, true},
		{"a long round trip spaces more", func() bool { k.request(); return k.take(900*ms, 700*ms, false) }, false},
		{"until it is over", func() bool { return k.take(1000*ms, 700*ms, false) }, true},
		{"a key frame sent unasked answers it", func() bool { k.request(); k.sent(1100 * ms); return k.take(5000*ms, 0, false) }, false},
		{"unasked, too early", func() bool { return k.take(1099*ms+refresh, 0, true) }, false},
		{"unasked, on a path that loses nothing", func() bool { return k.take(1100*ms+refresh, 0, false) }, false},
		{"unasked, on one that loses by chance", func() bool { return k.take(1100*ms+refresh, 0, true) }, true},
	}
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}
}

// Seen in the loss lab: a request for a key frame that was lost left the picture broken for
// 3 s, until the next loss.
func TestKeyFrameComesForAPacketAskedForTooLate(t *testing.T) {
	const ms, rtt = time.Millisecond, 60 * time.Millisecond
	for _, c := range []struct {
		name string
		do   func(k *keyFrames)
		when time.Duration // of the key frame; 0: none within 10 s
	}{
		{"in time", func(k *keyFrames) { k.asked(3000*ms, 190*ms, rtt) }, 0},
		{"too late", func(k *keyFrames) { k.asked(3000*ms, 191*ms, rtt) }, 3300 * ms},
		{"of a queue", func(k *keyFrames) { k.asked(3000*ms, 500*ms, rtt) }, 0},
		{"soon after a key frame", func(k *keyFrames) { k.asked(2900*ms, 200*ms, rtt); k.last = 2000 * ms }, 4000 * ms},
		{"again and again", func(k *keyFrames) { k.asked(3000*ms, 200*ms, rtt); k.asked(3250*ms, 200*ms, rtt) }, 3300 * ms},
		{"with a key frame behind it", func(k *keyFrames) { k.asked(3000*ms, 200*ms, rtt); k.sent(3100 * ms) }, 0},
		{"with a request behind it", func(k *keyFrames) { k.asked(3000*ms, 200*ms, rtt); k.request() }, 3020 * ms},
	} {
		var k keyFrames
		k.sent(1000 * ms)
		c.do(&k)
		at := time.Duration(0)
		for now := 3020 * ms; now < 13*time.Second && at == 0; now += 20 * ms {
			if k.take(now, rtt, false) {
				at = now
			}
		}
		if at != c.when {
			t.Errorf("%s: a key frame at %v, want %v", c.name, at, c.when)
		}
	}
}

func TestSDPNamesStreamAndPorts(t *testing.T) {
	for _, c := range []struct{ host, unspecified, version string }{
		{"192.0.2.1", "0.0.0.0", "IP4"},
		{"2001:db8::1", "::", "IP6"},
	} {
		host := netip.MustParseAddr(c.host)
		cfg := Config{RTP: netip.AddrPortFrom(host, 5004), RTCP: netip.AddrPortFrom(host, 6001), CNAME: "cam@test", First: &First{SSRC: 7}}
		if err := cfg.complete(); err != nil {
			t.Fatal(err)
		}
		want := strings.Join([]string{
			"v=0", "o=- 7 1 IN " + c.version + " " + c.unspecified, "s=krazycam", "c=IN " + c.version + " " + c.host, "t=0 0",
			"m=video 5004 RTP/AVP 96", "b=AS:600", "a=rtpmap:96 VP8/90000", "a=rtcp:6001 IN " + c.version + " " + c.host,
			"a=ssrc:7 cname:cam@test", "",
		}, "\r\n")
		if got := newSender(cfg, nil, nil).SDP(); got != want {
			t.Errorf("SDP() =\n%s\nwant\n%s", got, want)
		}
	}
}
