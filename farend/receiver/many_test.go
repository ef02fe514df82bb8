// Many streams on one port: whose packet is whose.

package receiver

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A crowd is a Server without a network, and sources of many streams.
type crowd struct {
	*Server
	t     *testing.T
	out   *fakeConn
	clock time.Time
}

func newCrowd(t *testing.T, c Config) *crowd {
	w := &crowd{t: t, out: &fakeConn{}, clock: time.Unix(1_800_000_000, 0)}
	c.RTP, c.RTCP = &fakeConn{}, w.out
	c.Now = func() time.Time { return w.clock }
	var err error
	if w.Server, err = Listen(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *crowd) takeRTP(p []byte, from netip.AddrPort)  { w.Server.takeRTP(p, from, w.clock) }
func (w *crowd) takeRTCP(p []byte, from netip.AddrPort) { w.Server.takeRTCP(p, from, w.clock) }

func (w *crowd) begin(id string, ssrc uint32, asker string) error {
	g := stream.Grant{ID: id, SSRC: ssrc}
	if asker != "" {
		g.Asker = netip.MustParseAddr(asker)
	}
	_, err := w.Server.Begin(w.t.Context(), g)
	return err
}

// play sends frames of a source, a report before each.
func (w *crowd) play(s *playedSender, from string, frames int) { w.playFrom(s, from, 0, frames) }

// playFrom is play with RTCP from another port, so much higher.
func (w *crowd) playFrom(s *playedSender, from string, rtcpOffset uint16, frames int) {
	at := netip.MustParseAddrPort(from)
	rtcpAt := netip.AddrPortFrom(at.Addr(), at.Port()+rtcpOffset)
	for i := range frames {
		raw, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: s.ssrc, NTPTime: 1 << 40}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.takeRTCP(raw, rtcpAt)
		for _, p := range s.frame(i == 0, uint32(i)*3000) {
			w.takeRTP(p, at)
		}
		w.clock = w.clock.Add(40 * time.Millisecond)
		w.sendDue()
	}
}

func (w *crowd) frames(id string) uint64 {
	s, ok := w.Server.Stats(id)
	if !ok {
		w.t.Errorf("no stream %s", id)
	}
	return s.Frames
}

func played(ssrc uint32) *playedSender {
	return &playedSender{ssrc: ssrc, seq: uint16(ssrc), packetizer: rtpvp8.NewPacketizer(1200, 7)}
}

func TestStreamsOfOnePortAreToldApart(t *testing.T) {
	type source struct {
		id, asker string
		announced uint32
		ssrc      uint32
		from      string
	}
	for _, c := range []struct {
		name    string
		sources []source
	}{
		{"by the SSRC that each announced, behind one address", []source{
			{"a", "192.0.2.1", 1, 1, "192.0.2.1:5004"}, {"b", "192.0.2.1", 2, 2, "192.0.2.1:6004"},
			{"c", "192.0.2.1", 3, 3, "192.0.2.1:5004"},
		}},
		{"by their addresses, of sources that announced nothing", []source{
			{"a", "192.0.2.1", 0, 1, "192.0.2.1:5004"}, {"b", "192.0.2.2", 0, 1, "192.0.2.2:5004"},
			{"c", "2001:db8::1", 0, 1, "[2001:db8::1]:5004"},
		}},
		{"by SSRC and address together", []source{
			{"a", "192.0.2.1", 7, 7, "192.0.2.1:5004"}, {"b", "192.0.2.2", 7, 7, "192.0.2.2:5004"},
		}},
		{"some announce, some do not", []source{
			{"a", "192.0.2.1", 0, 9, "192.0.2.1:5004"}, {"b", "192.0.2.1", 8, 8, "192.0.2.1:6004"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newCrowd(t, Config{})
			for _, s := range c.sources {
				if err := w.begin(s.id, s.announced, s.asker); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range c.sources {
				w.play(played(s.ssrc), s.from, 80)
			}
			for _, s := range c.sources {
				got, _ := w.Server.Stats(s.id)
				if got.Frames != 80 || got.SSRC != s.ssrc || got.Address.String() != s.from || got.Foreign != 0 ||
					got.SenderReports == 0 {
					t.Errorf("stream %s: %+v, want 80 frames of %s", s.id, got, s.from)
				}
			}
			if n := w.Totals().Unasked; n != 0 {
				t.Errorf("%d packets belonged to nobody", n)
			}
		})
	}
}

func TestStreamsThatCannotBeToldApartAreRefused(t *testing.T) {
	w := newCrowd(t, Config{})
	for _, s := range []struct {
		id        string
		announced uint32
		asker     string
		want      error
	}{
		{"a", 0, "192.0.2.1", nil},
		{"b", 0, "192.0.2.1", stream.ErrAmbiguous},
		{"c", 5, "192.0.2.1", nil},
		{"d", 5, "192.0.2.1", stream.ErrAmbiguous},
		{"e", 5, "192.0.2.2", nil},
		{"f", 0, "", nil},
		{"g", 0, "", stream.ErrAmbiguous},
	} {
		if err := w.begin(s.id, s.announced, s.asker); !errors.Is(err, s.want) {
			t.Errorf("Begin of %s = %v, want %v", s.id, err, s.want)
		}
	}
	if err := w.End(t.Context(), "a", "test"); err != nil {
		t.Error(err)
	}
	if err := w.begin("b", 0, "192.0.2.1"); err != nil {
		t.Errorf("Begin once the other is over = %v", err)
	}
	if err := w.End(t.Context(), "a", "test"); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("End again = %v, want ErrUnknown", err)
	}
}

// One that asked by IPv6 and sends by IPv4 is taken once nobody of the address that asked came for 2 s.
func TestSourceOfTheOtherFamilyIsTheStreamThatNobodyElseSends(t *testing.T) {
	w := newCrowd(t, Config{})
	if err := errors.Join(w.begin("a", 0, "2001:db8::1"), w.begin("b", 8, "192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	w.play(played(9), "192.0.2.1:5004", 100)
	w.play(played(8), "192.0.2.2:5004", 10)
	a, _ := w.Server.Stats("a")
	if b, _ := w.Server.Stats("b"); a.Address.String() != "192.0.2.1:5004" || a.Frames < 40 || b.Frames != 10 {
		t.Errorf("%+v\n%+v, want both taken", a, b)
	}
}

// Two that asked by IPv6 and send by IPv4, with RTCP from the next port: both are heard and answered, and
// go on when a NAT gives them other ports.
func TestSourcesOfTheOtherFamilyHaveRTCPAndMayChangeTheirPorts(t *testing.T) {
	for name, addresses := range map[string][2]string{
		"two addresses": {"192.0.2.1", "192.0.2.2"}, "one address": {"192.0.2.1", "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newCrowd(t, Config{})
			sources := []*playedSender{played(9), played(10)}
			for i, s := range sources {
				id, asker := string(rune('a'+i)), fmt.Sprintf("2001:db8::%d", i+1)
				if err := w.begin(id, 0, asker); err != nil {
					t.Fatal(err)
				}
				w.playFrom(s, fmt.Sprintf("%s:%d", addresses[i], 5004+10*i), 1, 100)
			}
			reports := map[uint32]int{}
			for _, p := range w.out.take(t) {
				if rr, ok := p.(*rtcp.ReceiverReport); ok && len(rr.Reports) == 1 {
					reports[rr.Reports[0].SSRC]++
				}
			}
			for i, s := range sources {
				got, _ := w.Server.Stats(string(rune('a' + i)))
				if got.SSRC != s.ssrc || got.SenderReports == 0 || reports[s.ssrc] == 0 {
					t.Errorf("stream %d: %d reports sent, %+v: want its own heard, and answered", i,
						reports[s.ssrc], got)
				}
				w.clock = w.clock.Add(portChangeSilence)
				port := fmt.Sprintf("%s:%d", addresses[i], 7004+10*i)
				w.playFrom(s, port, 1, 50)
				after, _ := w.Server.Stats(string(rune('a' + i)))
				if after.Address.String() != port || after.Frames < got.Frames+40 ||
					after.SenderReports < got.SenderReports+40 {
					t.Errorf("stream %d from another port: %d frames, then %+v", i, got.Frames, after)
				}
			}
		})
	}
}

// Three boards behind one address and port, as a multiplexer sends them, and resends of each: they are
// told apart by what each of them was asked for.
func TestResendsOfManySourcesAtOneAddressAreToldApart(t *testing.T) {
	w := newCrowd(t, Config{})
	const from = "192.0.2.1:5004"
	at := netip.MustParseAddrPort(from)
	for i := range uint32(3) {
		if err := w.begin(fmt.Sprint(i), 100+i, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(3) {
		s := played(100 + i)
		s.seq = uint16(i * 1000)
		w.play(s, from, 3)
		lost := s.frame(false, 9000)
		w.takeRTP(lost[0], at)
		w.takeRTP(lost[2], at)
		w.clock = w.clock.Add(nackDelay + dueInterval)
		w.sendDue()
		w.takeRTP(resendOf(lost[1], 900+i, 5), at)
	}
	for i := range 3 {
		got, _ := w.Server.Stats(fmt.Sprint(i))
		if got.Frames != 4 || got.Resent != 1 || got.Healed != 1 {
			t.Errorf("stream %d: %+v, want the fourth frame healed", i, got)
		}
	}
}

func TestOnePortForAllNeedsASourceThatCanMultiplex(t *testing.T) {
	s, err := Listen(Config{Host: "127.0.0.1", Mux: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, c := range []struct {
		offer []string
		want  error
	}{
		{nil, nil}, {[]string{wire.OfferRTX, wire.OfferMux}, nil}, {[]string{wire.OfferRTX}, stream.ErrNeedsMux},
	} {
		place, err := s.Begin(t.Context(),
			stream.Grant{ID: fmt.Sprint(c.offer), SSRC: uint32(1 + len(c.offer)), Offer: c.offer})
		if !errors.Is(err, c.want) || err == nil && (place.RTPPort != place.RTCPPort || place.RTPPort == 0) {
			t.Errorf("Begin of a source that offers %v = %+v, %v, want %v", c.offer, place, err, c.want)
		}
		if err == nil && len(c.offer) > 0 && (!place.RTX || place.Transport != 0) {
			t.Errorf("%+v, want what is offered and no more", place)
		}
	}
}

func TestAttachedSinkTakesFromThenOnAndAsksForAKeyFrame(t *testing.T) {
	w := newCrowd(t, Config{})
	if err := w.begin("a", 1, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	s := played(1)
	w.play(s, "192.0.2.1:5004", 20)
	w.out.take(t)
	sink := &fakeSink{}
	detach, err := w.Attach("a", sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RequestKeyFrame("a"); err != nil {
		t.Fatal(err)
	}
	w.sendDue()
	plis := 0
	for _, p := range w.out.take(t) {
		if _, ok := p.(*rtcp.PictureLossIndication); ok {
			plis++
		}
	}
	for _, p := range s.frame(true, 90000) {
		w.takeRTP(p, netip.MustParseAddrPort("192.0.2.1:5004"))
	}
	detach()
	for _, p := range s.frame(false, 93000) {
		w.takeRTP(p, netip.MustParseAddrPort("192.0.2.1:5004"))
	}
	if plis != 1 || len(sink.frames) != 1 || len(sink.packets) != 3 || !sink.frames[0].Key {
		t.Errorf("%d PLIs, %d frames, %d packets, want a key frame asked for and taken", plis, len(sink.frames),
			len(sink.packets))
	}
	if err := w.End(t.Context(), "a", "test"); err != nil || sink.closed {
		t.Errorf("End = %v, closed %v: a detached sink is its owner's", err, sink.closed)
	}
	if _, err := w.Attach("a", sink); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("Attach to a stream that is over = %v, want ErrUnknown", err)
	}
	if err := w.RequestKeyFrame("a"); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("RequestKeyFrame of a stream that is over = %v, want ErrUnknown", err)
	}
}

// A pool of four pairs serves 50,000 streams, one after the other, each with a packet and a report.
func TestPoolLosesNoPortOverManyStreamsAndLeavesMemoryFlat(t *testing.T) {
	sessions := 2000
	if long {
		sessions = 50_000
	}
	s, err := Listen(Config{Host: "127.0.0.1", First: 23300, Last: 23307})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	out, err := listenUDP("127.0.0.1", 0, poolBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	for i := range sessions {
		id := fmt.Sprint("s", i)
		place, err := s.Begin(t.Context(), stream.Grant{ID: id, SSRC: uint32(i + 1)})
		if err != nil {
			t.Fatalf("Begin of stream %d: %v", i, err)
		}
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(place.RTPPort))
		for _, p := range played(uint32(i+1)).frame(true, 0) {
			if err := out.write(p, to); err != nil {
				t.Fatal(err)
			}
		}
		if i%100 == 0 { // what is sent arrives
			await(t, func() bool { got, _ := s.Stats(id); return got.Frames == 1 })
		}
		if err := s.End(t.Context(), id, "test"); err != nil {
			t.Fatal(err)
		}
		if i == 1000 {
			before = heap()
		}
	}
	after := heap()
	t.Logf("FIGURE %d streams over 4 port pairs: heap %d KB after 1,000, %d KB at the end",
		sessions, before>>10, after>>10)
	if after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if n, _ := s.Load(); n != 0 {
		t.Errorf("%d streams left", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for port := 23300; port <= 23307; port++ {
		again, err := listenUDP("127.0.0.1", port, poolBuffer)
		if err != nil {
			t.Errorf("port %d was not given back: %v", port, err)
			continue
		}
		_ = again.Close()
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing came within a minute")
		}
	}
}
