// camctl receive as an owner runs it, with a real client and packets over loopback.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/farend/webm/matroska"
	"github.com/krazycam/krazycam/firmware/gateway"
)

// receiving is a running camctl receive.
type receiving struct {
	stderr    *bufio.Scanner
	lines     chan string // stdout
	url, key  string
	rtp, rtcp string
	stop      func() error
}

var receiveReady = regexp.MustCompile(`^camctl RECEIVE gateway=(\S+) rtp=(\S+) rtcp=(\S+)$`)

func startReceive(t *testing.T, args ...string) *receiving {
	t.Helper()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	cmd := newReceiveCommand()
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0"}, args...))
	cmd.SetOut(outW)
	cmd.SetErr(errW)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		_, _ = outW.Close(), errW.Close()
		done <- err
	}()
	r := &receiving{stderr: bufio.NewScanner(errR), lines: make(chan string, 1000)}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(outR); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	r.stop = func() error { cancel(); return <-done }
	t.Cleanup(cancel)
	if !r.stderr.Scan() {
		t.Fatalf("no ready line: %v", <-done)
	}
	m := receiveReady.FindStringSubmatch(r.stderr.Text())
	if m == nil {
		t.Fatalf("ready line %q", r.stderr.Text())
	}
	r.url, r.rtp, r.rtcp = m[1], m[2], m[3]
	for r.stderr.Scan() && !strings.HasPrefix(r.stderr.Text(), "recordings: ") {
		if key, is := strings.CutPrefix(r.stderr.Text(), "key: "); is {
			r.key = key
		}
	}
	go func() { // keep the log from blocking the command
		for r.stderr.Scan() {
		}
	}()
	return r
}

// keyFramePacket is the packet of key frame n of a stream whose frames need one packet each.
func keyFramePacket(t *testing.T, ssrc uint32, n int) []byte {
	t.Helper()
	frame := []byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0, 1, 2, 3}
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: uint16(n),
		Timestamp: uint32(n) * 3000, SSRC: ssrc, Marker: true}, Payload: frame}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sendKeyFrames sends n key frames of one packet each.
func sendKeyFrames(t *testing.T, to string, ssrc uint32, n int) {
	t.Helper()
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range n {
		if _, err := conn.Write(keyFramePacket(t, ssrc, i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReceiveGrantsCountsRecordsAndSumsUp(t *testing.T) {
	for _, secure := range []bool{false, true} {
		state := t.TempDir()
		args := []string{"--state", state, "--json"}
		if secure {
			args = append(args, "--tls")
		}
		r := startReceive(t, args...)
		config := gateway.ClientConfig{URL: r.url, Key: r.key, AllowHTTP: true}
		if secure {
			ca, err := os.ReadFile(filepath.Join(state, "gateway-cert.pem"))
			if err != nil {
				t.Fatal(err)
			}
			config.CA, config.AllowHTTP = string(ca), false
			// A board whose clock nobody set.
			config.Now = func() time.Time { return time.Unix(86400, 0) }
		}
		client, err := gateway.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		id, err := client.NewUtilizationID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		g, err := client.StartStream(t.Context(), id, 320, 240)
		if err != nil || g.Host != "127.0.0.1" {
			t.Fatalf("StartStream = %+v, %v", g, err)
		}
		time.Sleep(1200 * time.Millisecond) // idle: not of the stream's time
		sent := time.Now()
		sendKeyFrames(t, r.rtp, g.SSRC, 10)
		var row second
		for line := range r.lines {
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if row.Frames == 10 {
				break
			}
		}
		if row.State != "streaming" && time.Since(sent) < 2*time.Second { // after that they may be a silent stream's
			t.Errorf("row = %+v, want streaming", row)
		}
		if row.Utilization != id.String() || row.Width != 320 || row.LostPackets != 0 {
			t.Errorf("row = %+v", row)
		}
		if v, err := client.ValidateStream(t.Context(), id); err != nil || v.Code != 0 {
			t.Errorf("ValidateStream = %+v, %v", v, err)
		}
		if err := client.StopStream(t.Context(), id); err != nil {
			t.Error(err)
		}
		if err := r.stop(); err != nil {
			t.Errorf("receive = %v", err)
		}
		for line := range r.lines {
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
		}
		if !row.Summary || row.Frames != 10 {
			t.Errorf("summary = %+v, want 10 frames", row)
		}
		if row.FPS != 10 { // ten at once, over the least time of a summary, and none of the idle time
			t.Errorf("summary = %+v, want 10 frames a second", row)
		}
		if at, err := time.Parse(time.RFC3339, row.Time); err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("time %q, %v", row.Time, err)
		}
		checkRecording(t, state)
	}
}

// checkRecording wants one file of the ten frames that sendKeyFrames sent, for its owner alone.
func checkRecording(t *testing.T, state string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "recordings", "*", "*", "*.webm"))
	if err != nil || len(files) != 1 {
		t.Fatalf("recordings %v, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("recording: mode %v, %v", info.Mode(), err)
	}
	head, err := matroska.ReadInfo(f)
	if err != nil || head.Width != 320 || head.Height != 240 || head.Duration < 300*time.Millisecond ||
		head.Duration > 400*time.Millisecond { // nine intervals of 3000/90000 s, and the last frame's own
		t.Errorf("recording: %+v, %v", head, err)
	}
}

func TestReceiveKeepsItsKey(t *testing.T) {
	state := t.TempDir()
	first := startReceive(t, "--state", state)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := startReceive(t, "--state", state)
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	if first.key == "" || first.key != second.key {
		t.Errorf("keys %q and %q, want one", first.key, second.key)
	}
	given := startReceive(t, "--state", state, "--key", "mine")
	if err := given.stop(); err != nil || given.key != "" {
		t.Errorf("printed %q, %v, want nothing of a key that was given", given.key, err)
	}
	for line := range given.lines {
		if !strings.HasPrefix(line, "ended     frames 0  fps 0.0") {
			t.Errorf("line %q", line)
		}
	}
}

func TestReceiveRefusesWrongArguments(t *testing.T) {
	for _, args := range [][]string{
		{"--listen", "8080"}, {"--rtp", "22"}, {"--rtcp", "70000"}, {"--rtp", "5004", "--rtcp", "5004"},
		{"--keepalive", "1s"}, {"--cert", "x"}, {"--tls", "--cert", "x", "--tls-key", "y"}, {"--srtp"}, {"x"},
	} {
		cmd := newReceiveCommand()
		cmd.SetArgs(append(args, "--state", filepath.Join(t.TempDir(), "none")))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil {
			t.Errorf("receive %q = nil, want an error", args)
		}
	}
}

func TestReceiveTellsWhatABoardMustBeTold(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "krazycam.json")
	for _, c := range []struct {
		name   string
		args   []string
		listen string
		want   string
		not    string
	}{
		{"a key of its own", nil, "127.0.0.1:0", `"allow-loopback":true`, ""},
		{"a key on the command line", []string{"--key", "mine"}, "127.0.0.1:0", `"key":"mine"`, "\nkey: "},
		{"for a board in a machine on this one", []string{"--key", "mine"}, "127.0.0.1:0",
			`camctl vm: {"gateway":{"allow-http":true,"key":"mine","url":"http://10.0.2.2:`, ""},
		{"a key in a file", []string{"--key-file", writeKeyFile(t, "secret\n", 0o600)}, "127.0.0.1:0",
			"--seed-out FILE", "secret"},
		{"a file for the seed", []string{"--key", "mine", "--seed-out", seed}, "127.0.0.1:0", "in " + seed, `"mine"`},
		{"all addresses", []string{"--key", "mine"}, ":0", `krazycam.json for a board: {`, "allow-loopback"},
	} {
		out := &lockedBuffer{}
		cmd := newReceiveCommand()
		cmd.SetArgs(append(c.args, "--listen", c.listen, "--rtp", "0", "--rtcp", "0", "--state", t.TempDir()))
		cmd.SetOut(io.Discard)
		cmd.SetErr(out)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- cmd.ExecuteContext(ctx) }()
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "recordings: "); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s", c.name, out)
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := out.String(); !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: printed\n%s\nwant %q and not %q", c.name, got, c.want, c.not)
		}
	}
	b, err := os.ReadFile(seed)
	info, statErr := os.Stat(seed)
	if err != nil || statErr != nil || info.Mode().Perm() != 0o600 || !strings.Contains(string(b), `"key":"mine"`) {
		t.Errorf("--seed-out wrote %q, mode %v, %v, want the seed for its owner alone", b, info.Mode(), err)
	}
}

// lockedBuffer takes what a command prints while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestReceiveSaysWhichAddressIsTaken(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.LocalAddr().String())
	cmd := newReceiveCommand()
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--rtp", port, "--rtcp", "0", "--state", t.TempDir()})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "--rtp") {
		t.Errorf("receive = %v, want an error that names --rtp", err)
	}
}

// A state directory is named relative to where somebody is; what is relative to it is found in it.
func TestReceiveRecordsInTheStateDirectoryWhereverThatIs(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := startReceive(t, "--state", "yard").stop(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join("yard", "recordings")); err != nil || !info.IsDir() {
		t.Errorf("yard/recordings: %v", err)
	}
}
