package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPoolStepsInForADeadServerAndStepsBack(t *testing.T) {
	w, c := newWorld(t)
	w.dhcp = addresses("192.0.2.1")
	w.answers["2.pool.ntp.org"] = nil
	for range 3 {
		if got := c.askServers(t.Context(), lan); got < minPollInterval {
			t.Errorf("wait = %v, want at least %v: the pool answered", got, minPollInterval)
		}
		want := append(addressNames("192.0.2.1"), poolServers()...)
		slices.Sort(want)
		if diff := cmp.Diff(want, w.askedNow()); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
	}
	if got := strings.Count(w.log.String(), "the public pool is asked"); got != 1 {
		t.Errorf("%d lines that the pool is asked, want 1:\n%s", got, &w.log)
	}
	w.answers["192.0.2.1"] = nil
	c.askServers(t.Context(), lan)
	if diff := cmp.Diff(addressNames("192.0.2.1"), w.askedNow()); diff != "" {
		t.Errorf("when it is back, asked (-want +got):\n%s", diff)
	}
	if got := strings.Count(w.log.String(), `"time server answers again" server=192.0.2.1`); got != 1 {
		t.Errorf("%d lines that it is back, want 1:\n%s", got, &w.log)
	}
	if last := w.set[len(w.set)-1]; len(w.set) != 4 || last.server != "192.0.2.1" {
		t.Errorf("set by %v, want three times by the pool, then by 192.0.2.1", w.set)
	}
}

func addressNames(names ...string) []string { return names }

func TestServersThatDisagree(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	cases := []struct {
		name    string
		offsets map[string]time.Duration // by server: a, b, c, d are configured, p is 0.pool.ntp.org
		wasSet  bool
		want    string
		log     []string
	}{
		{"two agree", map[string]time.Duration{"a": hour, "b": hour + 50*time.Millisecond}, false, "a", nil},
		{"two disagree, the pool decides", map[string]time.Duration{"a": hour, "b": 0, "p": 0}, false, "b",
			[]string{`"time server is wrong" server=a off=1h0m0s`, "2 of 3 servers agree", "b 0.pool.ntp.org"}},
		{"two disagree, nobody decides", map[string]time.Duration{"a": hour, "b": 0}, false, "a",
			[]string{"time servers disagree", "a +3600.000s", "b +0.000s", "taken=a", "named first"}},
		{"two disagree, and the clock was right", map[string]time.Duration{"a": hour, "b": time.Second}, true, "b",
			[]string{"time servers disagree", "taken=b", "nearest to the clock"}},
		{"the majority against the first", map[string]time.Duration{"a": day, "b": 0, "c": time.Millisecond}, true,
			"b", []string{"server=a off=24h0m0s", `majority="b c"`}},
		{"two of four against a pair", map[string]time.Duration{"a": day, "b": 0, "c": 0, "d": day}, false, "a",
			[]string{"time servers disagree", "taken=a", "agrees with 1 others"}},
		{"three of four", map[string]time.Duration{"a": 0, "b": -hour, "c": 0, "d": 0}, false, "a",
			[]string{"server=b off=-1h0m0s", "3 of 4"}},
		{"three, and none agrees", map[string]time.Duration{"a": day, "b": hour, "c": 0}, false, "a",
			[]string{"time servers disagree", "taken=a"}},
	}
	for _, k := range cases {
		w, c := newWorld(t, "a", "b", "c", "d")
		c.wasSet = k.wasSet
		for server, offset := range k.offsets {
			if server == "p" {
				server = "0.pool.ntp.org"
			}
			w.answers[server], w.offsets[server] = nil, offset
		}
		for range 3 { // what stays wrong is said once
			c.askServers(t.Context(), lan)
		}
		if got := w.set[0].server; got != k.want {
			t.Errorf("%s: set by %s, want %s", k.name, got, k.want)
		}
		for _, words := range k.log {
			if got := strings.Count(w.log.String(), words); got != 1 {
				t.Errorf("%s: %q is %d times in the log, want once:\n%s", k.name, words, got, &w.log)
			}
		}
		if k.log == nil && strings.Contains(w.log.String(), "WARN") {
			t.Errorf("%s: log:\n%s", k.name, &w.log)
		}
	}
}

func TestServerThatAskedToBeLeftAloneIs(t *testing.T) {
	for code, holdoff := range map[string]time.Duration{"RATE": rateHoldoff, "DENY": denyHoldoff, "RSTR": denyHoldoff} {
		w, c := newWorld(t, "busy", "good")
		w.answers["busy"], w.answers["good"] = &kissError{code}, nil
		c.askServers(t.Context(), lan)
		w.askedNow()
		w.now = w.now.Add(holdoff - time.Second)
		c.askServers(t.Context(), lan)
		if diff := cmp.Diff([]string{"good"}, w.askedNow()); diff != "" {
			t.Errorf("%s: a second before %v, asked (-want +got):\n%s", code, holdoff, diff)
		}
		w.now = w.now.Add(time.Second)
		c.askServers(t.Context(), lan)
		if diff := cmp.Diff([]string{"busy", "good"}, w.askedNow()); diff != "" {
			t.Errorf("%s: after %v, asked (-want +got):\n%s", code, holdoff, diff)
		}
	}
}

func FuzzFindMajority(f *testing.F) {
	f.Add(int64(0), int64(0), int64(3600e9), int64(1e9))
	f.Fuzz(func(t *testing.T, a, b, c, d int64) {
		all := []sample{
			{server: "a", offset: time.Duration(a % 1e15)}, {server: "b", offset: time.Duration(b % 1e15)},
			{server: "c", offset: time.Duration(c % 1e15), distance: time.Duration(d&0xffffff) * time.Microsecond},
		}
		v := findMajority(all)
		if len(v.right) == 0 || len(v.right)+len(v.wrong) != len(all) || v.majority != (len(v.right) > 1) {
			t.Errorf("findMajority(%v) = %+v", all, v)
		}
		for _, s := range v.right { // any two that agree overlap
			if s.least() > v.right[0].most() || s.most() < v.right[0].least() {
				t.Errorf("%v and %v do not overlap", s, v.right[0])
			}
		}
	})
}
