package server

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store/sqlite"
)

func TestVideoServersJoinWithTheTokensOfTheFile(t *testing.T) {
	kept, err := sqlite.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	s := &Server{store: kept, log: slog.New(slog.DiscardHandler)}
	path := filepath.Join(t.TempDir(), "tokens")
	open := func(text string) (http.Handler, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.config.Settings.Cluster.TokensFile = path
		return s.withJoins(http.NotFoundHandler())
	}
	for _, bad := range []string{"v1", "v1 0123456789abcdef\nv1 0123456789abcdef", "v1 short", "v 1 0123456789abcdef"} {
		if _, err := open(bad); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want an error that names the file", bad, err)
		}
	}
	h, err := open("v1 0123456789abcdef\n\n")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/video-servers", strings.NewReader(
		`{"name":"v1","host":"192.0.2.7","control":"https://v1.example","capacity":5}`))
	r.Header.Set("Authorization", "Bearer 0123456789abcdef")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if list, err := kept.Servers(t.Context(), time.Time{}); w.Code != 200 || err != nil || len(list) != 1 {
		t.Errorf("%d %s; the store has %+v, %v", w.Code, w.Body, list, err)
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("another path = %d, want the gateway's answer", w.Code)
	}
}
