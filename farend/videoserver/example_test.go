// docs/video-server-example.py joins a real Joins, and takes a stream that a Cluster gives it.

package videoserver

import (
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
)

// startExample starts the example, which posts its heartbeats to url.
func startExample(t *testing.T, url string) {
	t.Helper()
	need.Tools(t, "python3")
	cmd := exec.CommandContext(t.Context(), "python3", "../../docs/video-server-example.py", "--name", "v1",
		"--token", token, "--gateway", url, "--port", "0", "--capacity", "2", "127.0.0.1")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by then
}

// eventually waits for something that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s: " + what)
		}
	}
}

func TestExampleVideoServerJoinsAndTakesAStream(t *testing.T) {
	kept := &fakeStore{}
	j, err := NewJoins(kept, map[string]string{"v1": token}, time.Now, quiet)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(j)
	t.Cleanup(web.Close)
	startExample(t, web.URL)
	eventually(t, "a heartbeat", func() bool { return len(kept.list()) == 1 })
	c := NewCluster(ClusterConfig{Store: kept})
	t.Cleanup(c.Close)

	name, s, err := c.Choose(t.Context(), stream.Grant{})
	if err != nil || name != "v1" {
		t.Fatalf("Choose = %q, %v", name, err)
	}
	place, err := s.Begin(t.Context(), stream.Grant{ID: "a", Lease: time.Minute})
	if err != nil || place.Host != "127.0.0.1" {
		t.Fatalf("Begin = %+v, %v", place, err)
	}
	if v, err := s.Captured(t.Context(), "a", netip.Addr{}); err != nil || v.Code == 0 {
		t.Errorf("before a packet: %+v, %v, want another code than 0", v, err)
	}
	source, err := net.Dial("udp", net.JoinHostPort(place.Host, strconv.Itoa(place.RTPPort)))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	eventually(t, "code 0", func() bool {
		_, sent := source.Write(make([]byte, 100))
		v, err := s.Captured(t.Context(), "a", netip.Addr{})
		return sent == nil && err == nil && v.Code == 0
	})

	if _, err := s.Begin(t.Context(), stream.Grant{ID: "b", Lease: time.Second}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Begin(t.Context(), stream.Grant{ID: "c"}); !errors.Is(err, stream.ErrFull) {
		t.Errorf("a third stream = %v, want %v", err, stream.ErrFull)
	}
	eventually(t, "the lease of the second runs out", func() bool {
		_, err := s.Begin(t.Context(), stream.Grant{ID: "c"})
		return err == nil
	})
	for range 2 {
		if err := s.End(t.Context(), "a", "enough"); err != nil && !errors.Is(err, stream.ErrUnknown) {
			t.Errorf("End = %v", err)
		}
	}
	if _, err := s.Captured(t.Context(), "a", netip.Addr{}); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("Captured after the end = %v", err)
	}
}
