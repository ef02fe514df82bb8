package single

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestBucketFillsWithTime(t *testing.T) {
	var b bucket
	now := idsBegan
	take := func(n int) (got int) {
		for range n {
			if b.take(3, time.Second, now) {
				got++
			}
		}
		return got
	}
	for _, c := range []struct {
		wait time.Duration
		want int
	}{{0, 3}, {0, 0}, {time.Second, 1}, {2500 * time.Millisecond, 2}, {500 * time.Millisecond, 1}, {time.Hour, 3},
		{-time.Hour, 0}, {time.Second, 1}} {
		now = now.Add(c.wait)
		if got := take(10); got != c.want {
			t.Errorf("after %v more %d of 10, want %d", c.wait, got, c.want)
		}
	}
}

func TestIDLimitIsForEachHostAndBounded(t *testing.T) {
	var l idLimit
	for i := range 2 * bucketsMax {
		l.take(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), idsBegan)
	}
	if len(l.of) > bucketsMax {
		t.Errorf("%d buckets", len(l.of))
	}
	l.take(netip.MustParseAddr("10.1.1.1"), idsBegan.Add(time.Hour))
	if len(l.of) != 1 {
		t.Errorf("%d buckets after an hour, want the last", len(l.of))
	}
	a, b := networkOf(netip.MustParseAddr("2001:db8::1")), networkOf(netip.MustParseAddr("2001:db8::ffff:1"))
	if c := networkOf(netip.MustParseAddr("2001:db8:0:1::1")); a != b || a == c {
		t.Errorf("%v, %v, %v: want an IPv6 network of 64 bits to be one host", a, b, c)
	}
}

// A flood makes a few short lines, which say how much it was.
func TestFloodOfRefusalsIsSaidOnceAndCounted(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, Config{Key: "k", Log: slog.New(slog.NewTextHandler(&log, nil))})
	long := `{"action":"` + strings.Repeat("ä\\n<script>", 1200) + `"}`
	for i := range 3000 {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(long))
		r.RemoteAddr = fmt.Sprintf("203.0.113.%d:%d", i%3, 1024+i)
		d.ServeHTTP(httptest.NewRecorder(), r)
		d.clock = d.clock.Add(time.Millisecond) // 3 s
	}
	if n := strings.Count(log.String(), "\n"); n != 3 || log.Len() > 3*500 {
		t.Errorf("%d lines, %d bytes of 3,000 refusals from 3 hosts, want 3 lines:\n%.2000s", n, log.Len(), &log)
	}
	d.clock = d.clock.Add(quietInterval)
	d.State()
	if got := log.String(); strings.Count(got, "times_since=999") != 3 {
		t.Errorf("the log does not say how often it was:\n%.3000s", got)
	}
	log.Reset()
	for i := range 10_000 { // from as many hosts
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.RemoteAddr = fmt.Sprintf("[2001:db8:%x::1]:9", i)
		d.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := strings.Count(log.String(), "\n"); n > sayingsMax+1 {
		t.Errorf("%d lines of 10,000 refusals from as many hosts, want at most %d", n, sayingsMax+1)
	}
	t.Logf("FIGURE 3,000 refusals with 13 KB of action from 3 hosts in 3 s: 3 log lines and 3 counts")
}

func TestStartsAndStopsOfASourceAreLoggedEachUntilTheyAreAFlood(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, Config{Key: "k", Log: slog.New(slog.NewTextHandler(&log, nil))})
	id := d.newID()
	for i := range 1000 {
		d.want(fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480}`, id), 0)
		d.want(fmt.Sprintf(`{"action":"stop_stream","utilization_id":%q}`, id), 0)
		if n := strings.Count(log.String(), "gateway: granted"); i < eventsOften && n != i+1 {
			t.Errorf("%d starts are logged of %d", n, i+1)
		}
	}
	if n := strings.Count(log.String(), "\n"); n > 1+2*eventsOften {
		t.Errorf("%d lines of 1000 starts and stops", n)
	}
}
