package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A flood makes a few short lines, which say how much it was.
func TestFloodOfRefusalsIsSaidOnceAndCounted(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	long := `{"action":"` + strings.Repeat("ä\\n<script>", 1200) + `"}`
	for i := range 900 {
		r := newPost(long)
		r.RemoteAddr = fmt.Sprintf("203.0.113.%d:%d", i%3, 1024+i)
		d.ServeHTTP(httptest.NewRecorder(), r)
		d.advance(3 * time.Millisecond) // 2.7 s
	}
	if n := strings.Count(log.String(), "\n"); n != 3 || log.Len() > 3*500 {
		t.Errorf("%d lines, %d bytes of 900 refusals from 3 hosts, want 3 lines:\n%.2000s", n, log.Len(), &log)
	}
	d.advance(quietInterval)
	d.tick(t.Context())
	if got := log.String(); strings.Count(got, "times_since=299") != 3 {
		t.Errorf("the log does not say how often it was:\n%.3000s", got)
	}
	log.Reset()
	for i := range 2000 { // from as many hosts
		r := newPost("{}")
		r.RemoteAddr = fmt.Sprintf("[2001:db8:%x::1]:9", i)
		d.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := strings.Count(log.String(), "\n"); n > sayingsMax+1 {
		t.Errorf("%d lines of 2,000 refusals from as many hosts, want at most %d", n, sayingsMax+1)
	}
	t.Logf("FIGURE 900 refusals with 13 KB of action from 3 hosts in 3 s: 3 log lines and 3 counts")
}

func TestStartsAndStopsOfASourceAreLoggedEachUntilTheyAreAFlood(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	id := d.newID()
	for i := range 50 {
		d.want(startBody("k", id), 0)
		d.want(about("stop_stream", id), 0)
		if n := strings.Count(log.String(), "gateway: granted"); i < eventsOften && n != i+1 {
			t.Errorf("%d starts are logged of %d", n, i+1)
		}
	}
	if n := strings.Count(log.String(), "\n"); n > 1+2*eventsOften {
		t.Errorf("%d lines of 50 starts and stops", n)
	}
}
