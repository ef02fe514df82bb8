// Who wants to break a stream: floods, strangers before, during and after it, a BYE that is not its own.

package receiver

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
)

// A process of its own sends real streams, and packets of made-up SSRCs to their port.
func TestFloodCostsARealStreamNothingAndLeavesMemoryFlat(t *testing.T) {
	need.Tools(t, "ffmpeg")
	length := 4 * time.Second
	if long {
		length = 30 * time.Second
	}
	s, err := Listen(Config{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	plan := loadPlan{Clip: makeLoadClip(t), Seconds: length.Seconds(), Flood: 50_000}
	for i, id := range []string{"a", "b"} {
		place, err := s.Begin(t.Context(), stream.Grant{ID: id, SSRC: loadSSRC(i), Asker: loopback})
		if err != nil {
			t.Fatal(err)
		}
		plan.To = append(plan.To, [][2]int{{place.RTPPort, place.RTCPPort}})
	}
	before := residentBytes(t, os.Getpid())
	sent := runLoad(t, plan, func() {})
	came := func() (n uint64) {
		for _, one := range s.AllStats(nil) {
			n += one.Stats.Packets
		}
		return n
	}
	for deadline := time.Now().Add(10 * time.Second); came() < sent && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	total, grown := s.Totals(), residentBytes(t, os.Getpid())-before
	t.Logf("FIGURE flood of %d packets/s of foreign SSRCs: %d of %d packets of 2 real streams lost, %d dropped by the "+
		"kernel, memory grew by %.1f MB", total.Unasked/uint64(length.Seconds()), int64(sent)-int64(came()), sent,
		total.KernelDrops, grown/(1<<20))
	if came() != sent || total.KernelDrops != 0 {
		t.Errorf("%d of %d packets came, %d were dropped", came(), sent, total.KernelDrops)
	}
	if total.Unasked < sent || grown > 16<<20 {
		t.Errorf("%d packets of the flood, memory grew by %.0f bytes", total.Unasked, grown)
	}
	for _, one := range s.AllStats(nil) {
		if st := one.Stats; st.LostFrames != 0 || st.Damaged != 0 || st.Foreign != 0 {
			t.Errorf("%s: %+v", one.ID, st)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The stranger knows the ports, and the SSRC of the source once that sends; not its address.
func TestStrangerIsNeverShown(t *testing.T) {
	const sourceAddress, strangerAddress = "192.0.2.1:5004", "203.0.113.9:5004"
	w := newCrowd(t, Config{})
	sink := &fakeSink{}
	w.config.Sinks = func(g stream.Grant) []stream.Sink {
		if g.ID == "a" {
			return []stream.Sink{sink}
		}
		return nil
	}
	stranger, impostor := played(66), played(5)
	w.play(stranger, strangerAddress, 50) // before the grant
	for id, ssrc := range map[string]uint32{"a": 5, "b": 6} {
		if err := w.begin(id, ssrc, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	w.play(stranger, strangerAddress, 50) // before the source
	source := played(5)
	w.play(source, sourceAddress, 30)
	bye, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 5}, &rtcp.Goodbye{Sources: []uint32{5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ts := uint32(30 * 3000)
	for range 50 { // beside it
		w.takeRTCP(bye, netip.MustParseAddrPort(strangerAddress))
		w.takeRTCP(bye, netip.MustParseAddrPort(sourceAddress)) // a spoofed address
		for _, s := range []*playedSender{source, impostor, stranger} {
			from := sourceAddress
			if s != source {
				from = strangerAddress
			}
			for _, p := range s.frame(false, ts) {
				w.takeRTP(p, netip.MustParseAddrPort(from))
			}
		}
		ts += 3000
		w.clock = w.clock.Add(40 * time.Millisecond)
		w.sendDue()
	}
	w.play(impostor, strangerAddress, 1) // after it, at once
	got, _ := w.Server.Stats("a")
	if got.Frames != 80 || got.State != stream.StateStreaming || got.ByesIgnored == 0 || len(sink.frames) != 80 ||
		len(sink.packets) != 240 || sink.restarts != 0 {
		t.Errorf("%+v, the sink has %d frames: want the 80 of the source and no other", got, len(sink.frames))
	}
	for _, p := range sink.packets {
		if binary.BigEndian.Uint32(p[8:]) != 5 {
			t.Fatal("the sink has a packet of a stranger")
		}
	}
	if err := w.End(t.Context(), "a", "test"); err != nil {
		t.Fatal(err)
	}
	w.play(impostor, strangerAddress, 50)
	w.play(source, sourceAddress, 50)
	if len(sink.frames) != 80 || w.frames("b") != 0 {
		t.Errorf("%d frames after the end, %d of the other stream", len(sink.frames), w.frames("b"))
	}
}
