// camctl receive against those who want to keep others out: real connections.

package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// inUse is said of a state directory that another process has.
const inUse = "another camctl receive uses it"

func TestSecondReceiveLeavesTheStateDirectoryAlone(t *testing.T) {
	state := t.TempDir()
	first := startReceive(t, "--state", state)
	cmd := newReceiveCommand()
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0", "--state", state})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), inUse) || !strings.Contains(err.Error(), "--state") {
		t.Errorf("a second receive = %v, want %q", err, inUse)
	}
	if err := first.stop(); err != nil {
		t.Error(err)
	}
	if err := startReceive(t, "--state", state).stop(); err != nil {
		t.Errorf("receive after the first has ended = %v", err)
	}
}

func TestStateDirectoryIsGivenBackWhenReceiveCannotBegin(t *testing.T) {
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "utilization_ids.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cmd := newReceiveCommand()
		cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0", "--state", state})
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil || strings.Contains(err.Error(), inUse) {
			t.Errorf("receive = %v, want a broken file", err)
		}
	}
}

// connectionsOfHostMax is farend/server's.
const connectionsOfHostMax = 64

// idle opens a connection that says little or nothing.
func idle(t *testing.T, to, says string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, says); err != nil {
		t.Logf("closed at once: %v", err)
	}
	return c
}

// countClosed waits so long for the other side to close connections.
func countClosed(conns []net.Conn, wait time.Duration) (closed int) {
	end := time.Now().Add(wait)
	for _, c := range conns {
		_ = c.SetReadDeadline(end)
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	return closed
}

// onlyLinux skips where 127.0.0.1 is the only address of this machine.
func onlyLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
}

// statusFrom posts to a server from another address of this machine.
func statusFrom(t *testing.T, host net.IP, url, body string) string {
	t.Helper()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: host}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true},
		Timeout: 10 * time.Second}
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	return resp.Status
}

// What one host may hold, the server's times end.
func TestReceiveAnswersWhileAnotherHostHoldsConnections(t *testing.T) {
	onlyLinux(t)
	t.Parallel()
	r := startReceive(t, "--state", t.TempDir())
	at, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	var slow []net.Conn
	for i := range 4 * connectionsOfHostMax {
		slow = append(slow, idle(t, at.Host, []string{"", "POST / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: x\r\n" +
			"Content-Length: 100\r\n\r\n{"}[i%3]))
	}
	const newID = `{"action":"new_utilization_id","key":"`
	if got := statusFrom(t, net.IPv4(127, 0, 0, 2), r.url, newID+r.key+`"}`); got != "200 OK" {
		t.Errorf("another host got %s", got)
	}
	if got := countClosed(slow, time.Minute); got != len(slow) {
		t.Errorf("%d of %d connections that say nothing, or little, were ended", got, len(slow))
	}
}

func TestReceiveRefusesLargeHeadersAndBodies(t *testing.T) {
	t.Parallel()
	r := startReceive(t, "--state", t.TempDir())
	for name, request := range map[string]func() *http.Request{
		"header": func() *http.Request {
			q, _ := http.NewRequest(http.MethodPost, r.url, strings.NewReader("{}"))
			q.Header.Set("X", strings.Repeat("x", 64<<10))
			return q
		},
		"body": func() *http.Request {
			q, _ := http.NewRequest(http.MethodPost, r.url, io.LimitReader(zeros{}, 1<<30))
			return q
		},
	} {
		began := time.Now()
		resp, err := http.DefaultClient.Do(request())
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 400 {
				t.Errorf("a large %s: %s", name, resp.Status)
			}
		}
		t.Logf("a large %s: %v after %v", name, err, time.Since(began).Round(time.Millisecond))
	}
	if got := r.ask(t, map[string]any{"action": "x"}); got["error_code"] != 5011.0 {
		t.Errorf("afterwards: %v", got)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
