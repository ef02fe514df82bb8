package forward

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// patience is how long a test waits for what takes a moment on a machine that is not busy.
const patience = 30 * time.Second

// A bench is a Forwarder and what it asked for.
type bench struct {
	*Forwarder
	mu        sync.Mutex
	keyFrames map[string]int
}

// start makes a Forwarder that ends with the test.
func start(t *testing.T, config Config) *bench {
	t.Helper()
	b := &bench{keyFrames: map[string]int{}}
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	config.Now = time.Now
	config.Name = "test"
	config.KeyFrame = func(id string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.keyFrames[id]++
	}
	var err error
	if b.Forwarder, err = New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) requested(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keyFrames[id]
}

// begin starts a stream and wants one sink for it.
func (b *bench) begin(t *testing.T, id string) stream.Sink {
	t.Helper()
	sinks := b.Sinks(grant(id), "zoo", "camera of "+id)
	if len(sinks) != 1 {
		t.Fatalf("Sinks = %d, want 1", len(sinks))
	}
	return sinks[0]
}

func grant(id string) stream.Grant {
	return stream.Grant{ID: "s-" + id, Source: wire.TextID(id), Customer: 7}
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// only is the state of the one forwarding that there is.
func (b *bench) only(t *testing.T) State {
	t.Helper()
	states := b.States()
	if len(states) != 1 {
		t.Fatalf("%d forwardings, want 1: %+v", len(states), states)
	}
	return states[0]
}

func (b *bench) awaitSending(t *testing.T) {
	t.Helper()
	await(t, "the forwarding begins", func() bool {
		states := b.States()
		return len(states) > 0 && states[0].State == StateSending
	})
}

// A far is a receiver of plain RTP.
type far struct {
	t         *testing.T
	rtp, rtcp *net.UDPConn
	port      int
}

// Ports of pairs lie below those that the kernel gives out: nobody else gets one that is free for a moment.
const (
	firstPair = 28000
	pairs     = 1000
)

// nextPair counts the pairs that tests of this process had, from a place that another run hardly has.
var nextPair = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(rand.Int64N(pairs))
	return &n
}()

// listenPair opens a pair of ports at an address, an even one and the next.
func listenPair(t *testing.T, address string) *far {
	t.Helper()
	var last error
	for range pairs {
		port := firstPair + 2*int(nextPair.Add(1)%pairs)
		a, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: port})
		if err != nil {
			last = err
			continue
		}
		b, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: port + 1})
		if err != nil {
			last = err
			a.Close()
			continue
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return &far{t, a, b, port}
	}
	t.Fatal("no pair of ports is free: ", last)
	return nil
}

// freePair is a pair that was free a moment ago.
func freePair(t *testing.T) (port int) {
	t.Helper()
	f := listenPair(t, "127.0.0.1")
	f.rtp.Close()
	f.rtcp.Close()
	return f.port
}

func (f *far) packet() rtp.Packet {
	f.t.Helper()
	b := make([]byte, 2000)
	f.rtp.SetReadDeadline(time.Now().Add(patience))
	n, err := f.rtp.Read(b)
	if err != nil {
		f.t.Fatal(err)
	}
	var p rtp.Packet
	if err := p.Unmarshal(b[:n]); err != nil {
		f.t.Fatal(err)
	}
	return p
}

func (f *far) report() (packets []rtcp.Packet, from *net.UDPAddr) {
	f.t.Helper()
	b := make([]byte, 2000)
	f.rtcp.SetReadDeadline(time.Now().Add(patience))
	n, from, err := f.rtcp.ReadFromUDP(b)
	if err != nil {
		f.t.Fatal(err)
	}
	if packets, err = rtcp.Unmarshal(b[:n]); err != nil {
		f.t.Fatal(err)
	}
	return packets, from
}

// say sends RTCP back.
func (f *far) say(to *net.UDPAddr, packets ...rtcp.Packet) {
	f.t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.rtcp.WriteToUDP(b, to); err != nil {
		f.t.Fatal(err)
	}
}

func toPort(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func TestAForwarderRefusesRulesThatItCannotKeep(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []Rule
		want  string
	}{
		{"WHIP without pion", []Rule{{From: "all", WHIP: "http://h/w"}}, "cannot forward by WHIP"},
		{"a wrong rule after a right one", []Rule{{From: "all", RTP: "h:2"}, {From: "all"}}, "rule 2"},
		{"Janus without a name", []Rule{{From: "all", Janus: "http://h/janus", Secret: "s"}}, "name"},
	} {
		_, err := New(Config{Rules: c.rules})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New = %v, want an error with %q", c.name, err, c.want)
		}
	}
	_, err := New(Config{Name: "a", Rules: []Rule{
		{From: "all", Janus: "http://h/janus", Secret: "s"}, {From: "customer:x", Janus: "http://h/janus", Secret: "t"},
	}})
	if err == nil || !strings.Contains(err.Error(), "different") {
		t.Errorf("one Janus with two secrets: New = %v, want an error", err)
	}
}

func TestEachRuleAboutAStreamMakesASink(t *testing.T) {
	b := start(t, Config{Rules: []Rule{
		{From: "all", RTP: toPort(freePair(t))}, {From: "customer:zoo", RTP: toPort(freePair(t))},
		{From: "customer:other", RTP: toPort(freePair(t))},
	}})
	if n := len(b.Sinks(grant("a"), "zoo", "")); n != 2 {
		t.Errorf("Sinks = %d, want 2", n)
	}
	await(t, "both begin", func() bool {
		s := b.States()
		return len(s) == 2 && s[0].State == StateSending && s[1].State == StateSending
	})
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(b.Sinks(grant("b"), "zoo", "")); n != 0 || len(b.States()) != 0 {
		t.Errorf("after Close: %d sinks, %d states, want none", n, len(b.States()))
	}
}

// Two pins of one mountpoint would leave to chance which one viewers need.
func TestOfTheRulesWithOneJanusTheFirstThatFitsCounts(t *testing.T) {
	to := func(from, host, pin string) Rule { // nobody listens there
		return Rule{From: from, Janus: "http://" + host + ":1/janus", Secret: "s", Pin: pin}
	}
	b := start(t, Config{Rules: []Rule{
		to("customer:other", "127.0.0.1", "1"), to("customer:zoo", "127.0.0.1", "2"), to("all", "127.0.0.1", "3"),
		to("all", "127.0.0.2", "4"), {From: "all", RTP: toPort(freePair(t))}, {From: "all", RTP: toPort(freePair(t))},
	}})
	for customer, want := range map[string]string{"zoo": "2 4", "other": "1 4", "third": "3 4"} {
		var pins []string
		sinks := b.Sinks(grant(customer), customer, "")
		for _, s := range sinks {
			if pin := s.(*sink).rule.Pin; pin != "" {
				pins = append(pins, pin)
			}
		}
		if got := strings.Join(pins, " "); got != want || len(sinks) != 4 {
			t.Errorf("%s: %d sinks with pins %s, want 4 with %s", customer, len(sinks), got, want)
		}
	}
}

// networkOf is a network on which one server answers all.
func networkOf(server string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server)
	}
}
