package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A resolver plays the goroutine of nameServers in a time of its own.
type resolver struct {
	*nameServers
	now   time.Time
	log   bytes.Buffer
	files int
	next  time.Time
}

func newResolver(t *testing.T) *resolver {
	r := &resolver{now: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	r.nameServers = newNameServers(path, slog.New(slog.NewTextHandler(&r.log, nil)))
	r.source("near").metric = ethernetMetric
	r.settle(t)
	return r
}

func (r *resolver) settle(t *testing.T) {
	before := bytes.Clone(r.written)
	r.next = r.nameServers.settle(r.now)
	if !bytes.Equal(before, r.written) {
		r.files++
		if b, err := os.ReadFile(r.path); err != nil || !bytes.Equal(b, r.written) {
			t.Fatalf("file = %q, %v, want %q", b, err, r.written)
		}
	}
}

// run lets d pass.
func (r *resolver) run(t *testing.T, d time.Duration) {
	end := r.now.Add(d)
	for !r.next.IsZero() && !r.next.After(end) {
		r.now = r.next
		r.settle(t)
	}
	r.now = end
}

func (r *resolver) advertise(t *testing.T, lifetime time.Duration, servers ...string) {
	option := rdnss{lifetime: lifetime}
	for _, s := range servers {
		option.servers = append(option.servers, addr(s))
	}
	r.source("near").merge(option, r.now)
	r.settle(t)
}

func TestAlternatingAdvertisementsAreFewFilesAndLines(t *testing.T) {
	r := newResolver(t)
	before := r.files
	for n := range 30_000 { // half a minute
		r.advertise(t, time.Duration(1-n%2)*time.Hour, "2001:db8::53")
		r.run(t, time.Millisecond)
	}
	if n := r.files - before; n < 1 || n > 31 {
		t.Errorf("%d files in 30 s, want no more than one a second", n)
	}
	if n := strings.Count(r.log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in 30 s, want 1:\n%s", n, &r.log)
	}
	r.advertise(t, time.Hour, "2001:db8::54")
	r.run(t, 2*time.Minute)
	if s := string(r.written); !strings.Contains(s, "nameserver 2001:db8::54\n") {
		t.Errorf("resolv.conf lacks the last one named:\n%s", s)
	}
	if s := r.log.String(); !strings.Contains(s, "2001:db8::54") {
		t.Errorf("the log lacks the last one named:\n%s", s)
	}
}

func TestFirstAdvertisementAndWhatDHCPSaysAreWrittenAtOnce(t *testing.T) {
	r := newResolver(t)
	r.advertise(t, time.Hour, "2001:db8::53")
	if !strings.Contains(string(r.written), "2001:db8::53") {
		t.Errorf("resolv.conf = %q, want the router's server", r.written)
	}
	r.source("near").dhcp, r.hurry = []netip.Addr{addr("192.0.2.1")}, true
	r.settle(t)
	if !strings.Contains(string(r.written), "nameserver 192.0.2.1\nnameserver 2001:db8::53\n") {
		t.Errorf("resolv.conf = %q, want DHCP's server first", r.written)
	}
}

func TestOfTooManyAdvertisedServersTheOldestGo(t *testing.T) {
	r := newResolver(t)
	for _, last := range []int{1, 9, 8, 7, 6, 5, 4} {
		r.advertise(t, time.Hour, "2001:db8::"+itoa(last))
	}
	r.advertise(t, time.Hour, "2001:db8::9") // again
	r.advertise(t, time.Hour, "2001:db8::2")
	r.run(t, routerWritePause)
	want := "nameserver 2001:db8::2\nnameserver 2001:db8::4\nnameserver 2001:db8::5\n" +
		"nameserver 2001:db8::6\nnameserver 2001:db8::7\nnameserver 2001:db8::9\n"
	if !strings.Contains(string(r.written), want) {
		t.Errorf("resolv.conf = %q, want %q", r.written, want)
	}
}

func TestServersOfADeadCableComeLast(t *testing.T) {
	r := newResolver(t)
	r.source("near").dhcp = []netip.Addr{addr("192.0.2.1")}
	r.source("wifi").dhcp = []netip.Addr{addr("198.51.100.1")}
	r.source("wifi").metric = wifiMetric + maxMetricIndex
	for _, dead := range []bool{false, true} {
		r.source("near").dead = dead
		first, second := "192.0.2.1", "198.51.100.1"
		if dead {
			first, second = second, first
		}
		if got := string(r.content()); !strings.Contains(got, "nameserver "+first+"\nnameserver "+second+"\n") {
			t.Errorf("dead = %v: resolv.conf = %q, want %s first", dead, got, first)
		}
	}
}
