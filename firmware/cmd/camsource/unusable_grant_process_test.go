// How often camsource asks a gateway whose grants it cannot use: in a network of its own, where
// the gateway answers and nothing leads to the receiver.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/farendtest"
	"github.com/krazycam/krazycam/farend/need"
	farstream "github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A somewhere is a video server that is not there: a host.
type somewhere string

func (s somewhere) Begin(context.Context, farstream.Grant) (farstream.Place, error) {
	return farstream.Place{Host: string(s), RTPPort: 5004, RTCPPort: 5005}, nil
}

func (somewhere) Captured(context.Context, string, netip.Addr) (farstream.Verdict, error) {
	return farstream.Verdict{Code: 1}, nil
}

func (somewhere) End(context.Context, string, string) error { return nil }

// countingGateway is our gateway, which names the host as its receiver. seen has the times of the
// requests of each action.
func countingGateway(t *testing.T, host string) (url string, seen func() map[string][]time.Time) {
	t.Helper()
	g := farendtest.New(t, farendtest.Config{Key: "k", Server: somewhere(host)})
	var mu sync.Mutex
	times := map[string][]time.Time{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Action string }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &asked) // the gateway judges it
		mu.Lock()
		times[asked.Action] = append(times[asked.Action], time.Now())
		times["any"] = append(times["any"], time.Now())
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		g.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() map[string][]time.Time { mu.Lock(); defer mu.Unlock(); return maps.Clone(times) }
}

func TestProcessAsksRarelyWhereItCannotSend(t *testing.T) {
	t.Parallel() // it waits
	if os.Getenv("KRAZYCAM_OWN_NETWORK") == "" {
		need.Root(t, "for a network of its own")
		cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v",
			"-test.parallel", "3") // they wait
		cmd.Env = append(os.Environ(), "KRAZYCAM_OWN_NETWORK=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Errorf("%v: %v", cmd, err)
		}
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := program(t)
	for _, c := range []struct{ name, host string }{
		{"no route", "203.0.113.9"}, {"no IPv6", "2001:db8::9"}, {"no name server", "receiver.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, seen := countingGateway(t, c.host)
			state := filepath.Join(t.TempDir(), "state")
			// Else only root gets there, and camsource ceases to be it.
			if err := os.Chmod(filepath.Dir(filepath.Dir(state)), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, "--camera", "pattern", "--gateway", url, "--key", "k", "--allow-http",
				"--state", state)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			const watched = 15 * time.Second
			for deadline := time.Now().Add(30 * time.Second); len(seen()["any"]) == 0; {
				if time.Now().After(deadline) {
					t.Fatal("the gateway was not asked")
				}
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(watched) // that it does not ask more than it may shows only with time
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("camsource after SIGTERM: %v", err)
			}
			got := seen()
			starts, all := len(got[wire.ActionStartStream]), got["any"]
			t.Logf("FIGURE unusable grant, %s: %d start_stream and %d stop_stream in %v",
				c.name, starts, len(got[wire.ActionStopStream]), watched)
			// At 0 s, 2 to 3, 5 to 8, 10 to 17 at the soonest; each is stopped.
			if starts < 2 || starts > 4 || len(all) > 10 {
				t.Errorf("%d start_stream, %d requests, want 2 to 4, at most 10", starts, len(all))
			}
			for i := 2; i < len(all)-1; i++ { // but for the first two, and the goodbye
				if gap := all[i].Sub(all[i-1]); gap < time.Second {
					t.Errorf("requests %d and %d are %v apart, want a second", i, i+1, gap)
				}
			}
		})
	}
}
