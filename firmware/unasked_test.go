package firmware

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpsend"
)

// asking is a receiver that can ask for a key frame, beside the announcer that hears it.
func asking(t *testing.T, clock func() time.Duration) (a *announcer, ask func()) {
	t.Helper()
	a, tell := telling(t, clock)
	return a, func() {
		t.Helper()
		want := a.Stats().PLIs + 1
		tell(&rtcp.PictureLossIndication{MediaSSRC: a.SSRC()}, func() bool { return a.Stats().PLIs == want })
	}
}

// telling is a receiver that tells the announcer something, and waits until that has heard.
func telling(t *testing.T, clock func() time.Duration) (a *announcer, tell func(p rtcp.Packet, heard func() bool)) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	s, err := rtpsend.Open(rtpsend.Config{RTP: netip.AddrPortFrom(at.Addr(), 9), RTCP: at, CNAME: "c", Bandwidth: 600_000, Monotonic: clock,
		First: &rtpsend.First{SSRC: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Send(make([]byte, 100), true, clock()); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, from, err := c.ReadFromUDPAddrPort(make([]byte, 1500)) // the first SR
	if err != nil {
		t.Fatal(err)
	}
	return &announcer{Sender: s, stream: &stream{source: &Source{}}}, func(p rtcp.Packet, heard func() bool) {
		t.Helper()
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteToUDPAddrPort(b, from); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if heard() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%T did not arrive in 10 s", p)
	}
}

// Janus asks for a key frame; when its viewers have left, ffplay may stand in its place.
func TestKeyFramesComeUnaskedUntilSomebodyAsksAndAgainWhenNobodyIsHeard(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	clock := func() time.Duration { return time.Duration(now.Load()) }
	a, ask := asking(t, clock)
	a.lastKey = clock()
	pass := func(d time.Duration) (wanted bool) {
		a.last = time.Duration(now.Add(int64(d)))
		if wanted = a.KeyFrameWanted(); wanted {
			a.lastKey = a.last
		}
		return wanted
	}
	step := func(what string, d time.Duration, want bool) {
		t.Helper()
		if got := pass(d); got != want {
			t.Errorf("%s: key frame wanted: %v, want %v", what, got, want)
		}
	}
	step("nobody has asked, too early", unasked-1, false)
	step("nobody has asked", 1, true)
	ask()
	step("a PLI", time.Second, true)
	step("after a PLI", unasked, false)
	step("still heard of", forgotten-unasked-time.Second-1, false)
	step("silent", time.Second+2, true)
	step("silent, too early", unasked-1, false)
	step("silent for longer", 1, true)
	ask()
	step("there again", time.Second, true)
	step("after that", unasked, false)
}

// A path that loses packets has key frames unasked, too. That is no sign that this receiver
// can ask for one.
func TestKeyFrameForALossyPathIsNotTheReceiversWish(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	clock := func() time.Duration { return time.Duration(now.Load()) }
	a, tell := telling(t, clock)
	for i := range 60 { // packets 1 to 60; the receiver lacks ten of them
		now.Add(int64(33 * time.Millisecond))
		if err := a.Sender.Send(make([]byte, 100), false, clock()); err != nil {
			t.Fatal(err)
		}
		if i%6 == 0 {
			want := a.Stats().Resends.Asked + 1
			tell(&rtcp.TransportLayerNack{MediaSSRC: a.SSRC(), Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{uint16(i + 1)})},
				func() bool { return a.Stats().Resends.Asked == want })
		}
	}
	now.Add(int64(3 * time.Second))
	a.lastKey, a.last = clock(), clock()
	if !a.KeyFrameWanted() {
		t.Fatal("no key frame is wanted 5 s after the last one on a path that loses packets")
	}
	if a.asks {
		t.Error("the receiver passes for one that asks for key frames")
	}
}
