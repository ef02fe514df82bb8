package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadinessSaysWhatFailsAndNotWhy(t *testing.T) {
	var log bytes.Buffer
	now, asked := start, 0
	var failing error
	h := Readyz(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now },
		Check{"database", func(context.Context) error { asked++; return failing }},
		Check{"disk", func(context.Context) error { return nil }})
	look := func(want int) string {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if w.Code != want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("readyz = %d %s, want %d", w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	look(200)
	failing = errors.New("postgres://secret")
	if look(200); asked != 1 {
		t.Errorf("within a second the database was asked %d times, want once", asked)
	}
	now = now.Add(checkKeep)
	if body := look(503); strings.Contains(body, "secret") || !strings.Contains(body, `"database":"failing"`) ||
		!strings.Contains(body, `"disk":"ok"`) {
		t.Errorf("readyz says %s", body)
	}
	now = now.Add(checkKeep)
	look(503)
	if n := strings.Count(log.String(), "secret"); n != 1 {
		t.Errorf("the log has the reason %d times, want once for an outage:\n%s", n, &log)
	}
	failing = nil
	now = now.Add(checkKeep)
	if look(200); !strings.Contains(log.String(), "ready again") {
		t.Errorf("the log does not say that the outage is over:\n%s", &log)
	}
}

func TestProcessIsAliveWhateverIsAsked(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405} {
		w := httptest.NewRecorder()
		Healthz().ServeHTTP(w, httptest.NewRequest(method, "/healthz", http.NoBody))
		if w.Code != want {
			t.Errorf("%s = %d, want %d", method, w.Code, want)
		}
	}
}

func TestDiskIsLookedAt(t *testing.T) {
	if err := DiskCheck(t.TempDir()).Find(t.Context()); err != nil {
		t.Error(err)
	}
	if err := DiskCheck(t.TempDir() + "/none").Find(t.Context()); err == nil {
		t.Error("a folder that is not there is good")
	}
}

func TestAnswersAreObservedByTheirStatus(t *testing.T) {
	var seen []int
	b := newBench(t, func(c *Config) { c.Observe = func(_ string, status int) { seen = append(seen, status) } })
	b.want(200, "", "GET", "/openapi.json", "")
	b.want(401, "", "GET", "/me", "")
	if !slices.Equal(seen, []int{200, 401}) {
		t.Errorf("statuses %v, want 200 and 401", seen)
	}
}
