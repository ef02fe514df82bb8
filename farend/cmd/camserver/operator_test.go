// What operators ask of a camserver that runs.

package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get asks the operator's listener; token may be "".
func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// The API, health and metrics of a server with streams; a rule hands each on to a port of ours.
func TestOperatorSeesStreamsAndARuleHandsThemOn(t *testing.T) {
	t.Parallel()
	operator := freePort(t)
	file := filepath.Join(t.TempDir(), "camserver.json")
	const rule = `{"forward": {"rules": [{"from": "all", "rtp": "127.0.0.1:6000-6003"}]}}` // where nobody need listen
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServer(t, t.TempDir(), "--operator", operator, "--config", file)
	token := p.first(t, "token of the administrator: ")
	lights, _ := startLights(t, 2, p.url, p.key(t), p.ca(t))
	waitFor(t, time.Minute, "two streams", func() bool { return countStreaming(lights) == 2 },
		func() string { return describe(lights) })
	base := "http://" + operator
	if status, _ := get(t, base+"/api/v1/streams", ""); status != http.StatusUnauthorized {
		t.Errorf("streams without a token: %d", status)
	}
	waitFor(t, time.Minute, "a forwarding that sends", func() bool {
		_, body := get(t, base+"/api/v1/forwardings", token)
		return strings.Contains(body, `"state":"sending"`) || strings.Contains(body, `"packets":`) &&
			!strings.Contains(body, `"packets":0,`)
	}, func() string { _, body := get(t, base+"/api/v1/forwardings", token); return body })
	for path, want := range map[string]string{
		"/api/v1/streams": `"streaming"`, "/healthz": "", "/readyz": `{"database":"ok","disk":"ok","receiver":"ok"}`,
		"/metrics": "krazycam_",
	} {
		if status, body := get(t, base+path, token); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %s, want %q", path, status, lastLines(body, 20), want)
		}
	}
}
