// The gateway that docs/gateway.md shows, exactly that file, grants a stream to camsource.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/receiver"
	granted "github.com/krazycam/krazycam/farend/stream"
)

// startExampleGateway starts docs/gateway-example.py for a receiver on this machine and gives
// its URL.
func startExampleGateway(t *testing.T, far *receiver.Server) string {
	t.Helper()
	need.Tools(t, "python3")
	rtp, rtcp := far.Ports()
	cmd := exec.CommandContext(t.Context(), "python3", "../../../docs/gateway-example.py",
		"--key", "secret", "--port", "0", "127.0.0.1", strconv.Itoa(rtp), strconv.Itoa(rtcp))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by then
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example gateway says %q: %v", line, err)
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "gateway on ")
}

// actionLog passes requests on and notes what they ask.
type actionLog struct {
	proxy http.Handler

	mu      sync.Mutex
	actions []string
}

func (l *actionLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var asked struct{ Action string }
	_ = json.Unmarshal(body, &asked) // the gateway judges it
	l.mu.Lock()
	l.actions = append(l.actions, asked.Action)
	l.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	l.proxy.ServeHTTP(w, r)
}

func (l *actionLog) copyActions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.actions)
}

// exampleStream is the stream's ID at the receiver, of which the example gateway knows nothing.
const exampleStream = "example"

// runReceiver is the far end of one stream, in the clear.
func runReceiver(t *testing.T) *receiver.Server {
	t.Helper()
	r, err := receiver.Listen(receiver.Config{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(t.Context(), granted.Grant{ID: exampleStream}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestProcessStreamsByTheGrantOfTheExampleGateway(t *testing.T) {
	far := runReceiver(t)
	stats := func() granted.Stats { s, _ := far.Stats(exampleStream); return s }
	gatewayURL, err := url.Parse(startExampleGateway(t, far))
	if err != nil {
		t.Fatal(err)
	}
	log := &actionLog{proxy: httputil.NewSingleHostReverseProxy(gatewayURL)}
	server := httptest.NewServer(log)
	defer server.Close()
	state := filepath.Join(t.TempDir(), "state")
	// Else only root gets there, and camsource ceases to be it.
	if err := os.Chmod(filepath.Dir(filepath.Dir(state)), 0o755); err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	said := func() string { b, _ := os.ReadFile(stderr.Name()); return string(b) }
	cmd := exec.Command(program(t), "--camera", "pattern", "--size", "320x240", "--gateway", server.URL,
		"--key", "secret", "--allow-http", "--allow-loopback", "--state", state)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	want := []string{"new_utilization_id", "start_stream", "validate_stream"}
	deadline := time.Now().Add(30 * time.Second)
	for stats().Frames < 10 || !slices.Equal(log.copyActions(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("asked %q, want %q; %d frames came, want 10; camsource says\n%s",
				log.copyActions(), want, stats().Frames, said())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := stats(); got.Damaged+got.LostFrames != 0 || got.Width != 320 {
		t.Errorf("the receiver has %+v", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("camsource after SIGTERM: %v\n%s", err, said())
	}
	if got := log.copyActions(); !slices.Equal(got, append(want, "stop_stream")) {
		t.Errorf("asked %q, want stop_stream at the end", got)
	}
}
