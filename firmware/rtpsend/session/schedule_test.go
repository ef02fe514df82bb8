// Time and intervals: plain functions.

package session

import (
	"math"
	"testing"
	"time"
)

func TestIntervalFollowsRFC3550(t *testing.T) {
	for _, c := range []struct {
		name string
		s    membership
		want time.Duration
	}{
		{"reduced minimum at 600 kbit/s", membership{600_000, 2, 1, true, 100}, 600 * time.Millisecond},
		{"reduced minimum at 72 kbit/s is the fixed one", membership{72_000, 2, 1, true, 10}, 5 * time.Second},
		{"never above 5 s by the minimum", membership{30_000, 2, 1, true, 10}, 5 * time.Second},
		{"bandwidth binds: 2 x 100 bytes at 5 % of 4 kbit/s", membership{4_000, 2, 1, true, 100}, 8 * time.Second},
		{"a quarter for few senders", membership{4_000, 8, 1, true, 100}, 16 * time.Second},
		{"three quarters for receivers", membership{4_000, 7, 1, false, 100}, 32 * time.Second},
	} {
		if got := c.s.interval(); (got - c.want).Abs() > time.Microsecond {
			t.Errorf("%s: interval() = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExpiryIsReconsideredWhenTheIntervalGrew(t *testing.T) {
	draws := []float64{0.5, 0.5, 0.5, 0.5}
	s := schedule{random: func() float64 { r := draws[0]; draws = draws[1:]; return r }}
	s.startFrom(0, time.Second)
	first := s.next
	if want := randomized(time.Second, 0.5); first != want {
		t.Errorf("next = %v, want %v", first, want)
	}
	if s.takeDue(first-1, time.Second) {
		t.Error("sent before its time")
	}
	if s.takeDue(first, 2*time.Second) || s.next != 2*first {
		t.Errorf("next = %v after the interval doubled, want %v and no report", s.next, 2*first)
	}
	if !s.takeDue(2*first, 2*time.Second) || s.last != 2*first {
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
	if got := FromTicks(4500); got != 50*time.Millisecond {
		t.Errorf("FromTicks(4500) = %v, want 50 ms", got)
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
		if got := NTP(at); got != c.want {
			t.Errorf("NTP(%s) = %#x, want %#x", c.at, got, c.want)
		}
	}
}

func TestOnlyTheLatestReportsAreRemembered(t *testing.T) {
	var s sentReports
	if _, ok := s.roundTrip(time.Second, 0, 0); ok {
		t.Error("a round trip before the first report")
	}
	for i := range uint64(reportsKept + 3) {
		s.addReport(i<<16, time.Duration(i)*time.Second)
	}
	if _, ok := s.roundTrip(time.Minute, 2, 0); ok {
		t.Error("report 2 is remembered after 32 more")
	}
	if rtt, ok := s.roundTrip(time.Minute, 3, 0); !ok || rtt != 57*time.Second {
		t.Errorf("roundTrip to report 3 = %v, %v, want 57 s", rtt, ok)
	}
}
