// camctl receive against those who want to keep others out: real connections.

package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestSecondReceiveLeavesTheStateDirectoryAlone(t *testing.T) {
	state := t.TempDir()
	first := startReceive(t, "--state", state)
	cmd := newReceiveCommand()
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0", "--state", state})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	if !errors.Is(err, errInUse) || !strings.Contains(err.Error(), "--state") {
		t.Errorf("a second receive = %v, want %v", err, errInUse)
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
		if err := cmd.ExecuteContext(t.Context()); err == nil || errors.Is(err, errInUse) {
			t.Errorf("receive = %v, want a broken file", err)
		}
	}
}

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

// isClosed waits so long for the other side to close.
func isClosed(c net.Conn, wait time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(wait))
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestReceiveAnswersWhileAnotherHostHoldsConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
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
	closed := 0
	for _, c := range slow[connectionsOfHostMax:] {
		if isClosed(c, 10*time.Second) {
			closed++
		}
	}
	if want := 3 * connectionsOfHostMax; closed != want {
		t.Errorf("%d connections of one host were closed of %d, want %d", closed, len(slow), want)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext}, Timeout: 10 * time.Second}
	resp, err := client.Post(r.url, "application/json",
		strings.NewReader(`{"action":"new_utilization_id","key":"`+r.key+`"}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("another host got %v, %v", resp, err)
	}
	for i, c := range slow[:connectionsOfHostMax] { // and those that stay are ended, too
		if !isClosed(c, 30*time.Second) {
			t.Fatalf("connection %d is still open", i)
		}
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

func TestBoundedListenerGivesPlacesBack(t *testing.T) {
	l := &boundedListener{open: map[netip.Prefix]int{}}
	host := func(i int) netip.Prefix {
		return hostOf(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 9})
	}
	for i := range connectionsMax {
		if !l.take(host(i)) {
			t.Fatalf("host %d got no place", i)
		}
	}
	if l.take(host(9999)) {
		t.Error("more than connectionsMax")
	}
	for i := range connectionsMax {
		l.give(host(i))
	}
	if l.total != 0 || len(l.open) != 0 {
		t.Errorf("%d places and %d hosts are kept", l.total, len(l.open))
	}
	a := hostOf(&net.TCPAddr{IP: net.ParseIP("2001:db8::1")})
	if b := hostOf(&net.TCPAddr{IP: net.ParseIP("2001:db8::2")}); a != b || a.Bits() != 64 {
		t.Errorf("%v and %v, want one host of an IPv6 network", a, b)
	}
}
