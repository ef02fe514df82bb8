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
	"testing"
	"time"

	"github.com/pion/rtp"

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
		records, err := filepath.Glob(filepath.Join(state, "ivf", "*.ivf"))
		if err != nil || len(records) != 1 {
			t.Fatalf("records %v, %v", records, err)
		}
		if info, err := os.Stat(records[0]); err != nil || info.Size() != 32+10*(12+13) {
			t.Errorf("record of %d bytes, %v, want ten frames of 13", info.Size(), err)
		}
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

func TestSeedIsAConfiguration(t *testing.T) {
	for url, ca := range map[string]string{"http://192.0.2.1:8080/": "", "https://192.0.2.1/": "PEM\n",
		"https://192.0.2.2/": ""} {
		var got struct{ Gateway map[string]any }
		if err := json.Unmarshal([]byte(seed(url, "k", ca)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Gateway["url"] != url || (got.Gateway["ca"] != nil) != (ca != "") ||
			(got.Gateway["allow-http"] == true) != strings.HasPrefix(url, "http:") {
			t.Errorf("seed = %v", got.Gateway)
		}
	}
}
