package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/google/go-cmp/cmp"
)

func TestPace(t *testing.T) {
	var p pollPace
	var good, bad []string
	for range 8 {
		good = append(good, p.afterAnswer().String())
	}
	for range 8 {
		bad = append(bad, p.afterFailure(1).String())
	}
	wantGood := []string{"1m4s", "2m8s", "4m16s", "8m32s", "17m4s", "34m8s", "1h0m0s", "1h0m0s"}
	wantBad := []string{"1s", "2s", "4s", "8s", "16s", "32s", "1m4s", "1m4s"}
	if diff := cmp.Diff([][]string{wantGood, wantBad}, [][]string{good, bad}); diff != "" {
		t.Errorf("waits after answers and after none (-want +got):\n%s", diff)
	}
	if got := p.afterAnswer(); got != minPollInterval {
		t.Errorf("the first wait after an outage = %v, want %v", got, minPollInterval)
	}
	if got := p.afterFailure(0); got != minRetryInterval/2 {
		t.Errorf("the first wait of the next outage = %v, want %v with the least jitter", got, minRetryInterval/2)
	}
	if got := p.afterRefusal(1); got != maxRetryInterval {
		t.Errorf("the wait after a kiss of death = %v, want %v", got, maxRetryInterval)
	}
}

// A world is the client's surroundings: who answers, and a timer that goes off at
// once for as many waits as the test allows.
type world struct {
	t       *testing.T
	mu      sync.Mutex       // all servers are asked at once
	answers map[string]error // nil: answers
	dhcp    []netip.Addr
	waits   chan time.Duration
	timer   chan time.Time
	asked   []string
	set     []sample
	refuse  error                    // the clock's
	offsets map[string]time.Duration // from the clock as it was at first
	moved   time.Duration            // the clock, since
	now     time.Time
	log     bytes.Buffer
}

func (w *world) find(context.Context, network) ([]netip.Addr, error) { return w.dhcp, nil }

func (w *world) ask(_ context.Context, server string) (sample, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, server)
	err, known := w.answers[server]
	if !known {
		err = errors.New("no such server")
	}
	s := sample{server: server, offset: time.Second, distance: time.Millisecond}
	if offset, ok := w.offsets[server]; ok {
		s.offset = offset
	}
	s.offset -= w.moved
	return s, err
}

// askedNow returns the servers that were asked since the last time, by name.
func (w *world) askedNow() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	slices.Sort(asked)
	return asked
}

func (w *world) setClock(s sample, _ time.Duration) error {
	w.set = append(w.set, s)
	if w.refuse == nil {
		w.moved += s.offset
	}
	return w.refuse
}

type clockFunc func(sample, time.Duration) error

func (f clockFunc) setClock(s sample, poll time.Duration) error { return f(s, poll) }

func newWorld(t *testing.T, configured ...string) (*world, *client) {
	w := &world{
		t: t, answers: map[string]error{}, waits: make(chan time.Duration), timer: make(chan time.Time),
		offsets: map[string]time.Duration{}, now: time.Unix(1_800_000_000, 0),
	}
	return w, &client{
		configured: configured,
		fromDHCP:   w.find,
		ask:        w.ask,
		clock:      clockFunc(w.setClock),
		after: func(d time.Duration) <-chan time.Time {
			w.waits <- d
			return w.timer
		},
		now: func() time.Time { return w.now },
		log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
}

var lan = []network{{"eth0", netip.MustParseAddr("192.0.2.9")}}

func TestRoundAsksAllNamedServersAndTakesTheFirstThatIsBelieved(t *testing.T) {
	w, c := newWorld(t, "dead", "good", "also")
	w.answers["good"], w.answers["also"] = nil, nil
	if got := c.askServers(t.Context(), lan); got != minPollInterval {
		t.Errorf("wait = %v, want %v", got, minPollInterval)
	}
	if diff := cmp.Diff([]string{"also", "dead", "good"}, w.askedNow()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if len(w.set) != 1 || w.set[0].server != "good" {
		t.Errorf("clock set by %v, want once by good", w.set)
	}
}

func TestRoundGoesOnWhenTheClockRefusesAServer(t *testing.T) {
	w, c := newWorld(t, "liar", "other")
	w.answers["liar"], w.answers["other"] = nil, nil
	w.refuse = fmt.Errorf("liar: %w", errBeforeFloor)
	if got := c.askServers(t.Context(), lan); got > minRetryInterval {
		t.Errorf("wait = %v, want at most %v", got, minRetryInterval)
	}
	if len(w.set) != 2 {
		t.Errorf("the clock was asked to take %v, want both", w.set)
	}
}

func TestRoundBacksOffFarFromAServerThatRefusesUs(t *testing.T) {
	w, c := newWorld(t, "busy")
	w.answers["busy"] = fmt.Errorf("answer of busy: %w", ntp.ErrKissOfDeath)
	if got := c.askServers(t.Context(), lan); got < maxRetryInterval/2 {
		t.Errorf("wait = %v, want at least %v", got, maxRetryInterval/2)
	}
}

func TestRoundLooksForServersAgainAfterAFailure(t *testing.T) {
	w, c := newWorld(t)
	w.dhcp = addresses("192.0.2.1")
	c.askServers(t.Context(), lan)
	if asked := w.askedNow(); !slices.Contains(asked, "192.0.2.1") {
		t.Errorf("asked %q, want 192.0.2.1", asked)
	}
	w.dhcp = addresses("192.0.2.2")
	w.answers["192.0.2.2"] = nil
	c.askServers(t.Context(), lan)
	if diff := cmp.Diff([]string{"192.0.2.2"}, w.askedNow()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestRunSendsNothingWithoutANetwork(t *testing.T) {
	w, c := newWorld(t, "good")
	w.answers["good"] = nil
	ctx, cancel := context.WithCancel(t.Context())
	networks := make(chan []network)
	ended := make(chan struct{})
	go func() { defer close(ended); c.steerClock(ctx, networks) }()
	networks <- nil
	networks <- lan
	if got := <-w.waits; got != minPollInterval {
		t.Errorf("wait = %v, want %v", got, minPollInterval)
	}
	networks <- nil // the cable is pulled while the client waits
	networks <- nil
	cancel()
	<-ended
	if len(w.asked) != 1 {
		t.Errorf("asked %v, want good once, while there was a network", w.asked)
	}
}

func TestRunStartsAnewWithANewNetwork(t *testing.T) {
	w, c := newWorld(t, "good")
	ctx, cancel := context.WithCancel(t.Context())
	networks := make(chan []network)
	ended := make(chan struct{})
	go func() { defer close(ended); c.steerClock(ctx, networks) }()
	networks <- lan
	for range 10 { // an outage until the longest wait
		<-w.waits
		w.timer <- time.Time{}
	}
	<-w.waits
	networks <- lan
	if got := <-w.waits; got > minRetryInterval {
		t.Errorf("first wait in a new network = %v, want at most %v", got, minRetryInterval)
	}
	cancel()
	<-ended
}
