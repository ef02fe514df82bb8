// What a packet costs: no allocation, from the socket to the sinks.

package receiver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A quietSink takes everything and keeps nothing.
type quietSink struct{ packets, frames int }

func (s *quietSink) TakePacket([]byte, time.Time) { s.packets++ }
func (s *quietSink) TakeFrame(stream.Frame)       { s.frames++ }
func (s *quietSink) Restart()                     {}
func (s *quietSink) Close()                       {}

func TestPacketsAllocateNothingAndLeaveMemoryFlat(t *testing.T) {
	const runs = 500
	for _, profile := range []string{"", wire.ProfileGCM, wire.ProfileCM} {
		for _, resent := range []bool{false, true} {
			name := profile
			if name == "" {
				name = "in the clear"
			}
			if resent {
				name += ", resent"
			}
			t.Run(name, func(t *testing.T) { checkAllocations(t, profile, resent, runs) })
		}
	}
}

// checkAllocations sends frames of three packets through a socket; resent: the second one of each comes
// by RFC 4588.
func checkAllocations(t *testing.T, profile string, resent bool, runs int) {
	sink := &quietSink{}
	s, err := Listen(Config{Host: "127.0.0.1", Sinks: func(stream.Grant) []stream.Sink { return []stream.Sink{sink} }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	g := stream.Grant{ID: "a", SSRC: 5}
	seal := func(p []byte) []byte { return p }
	if n := wire.KeySize(profile); n > 0 {
		g.SRTP = &wire.SRTP{Profile: profile, Source: make([]byte, n), Receiver: make([]byte, n)}
		g.SRTP.Receiver[0] = 1
		kinds := map[string]srtp.ProtectionProfile{
			wire.ProfileGCM: srtp.ProtectionProfileAeadAes128Gcm,
			wire.ProfileCM:  srtp.ProtectionProfileAes128CmHmacSha1_80,
		}
		out, err := srtp.CreateContext(g.SRTP.Source[:16], g.SRTP.Source[16:], kinds[profile])
		if err != nil {
			t.Fatal(err)
		}
		seal = func(p []byte) []byte {
			sealed, err := out.EncryptRTP(nil, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sealed
		}
	}
	// Another stream shares the port, as it is usual.
	for _, g := range []stream.Grant{g, {ID: "b", SSRC: 6}} {
		if _, err := s.Begin(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	datagrams := makeDatagrams(runs+80, resent, seal)
	out, err := listenUDP("127.0.0.1", 0, poolBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(s.rtp.port()))
	b, next := make([]byte, datagramMax), 0
	frame := func() {
		for _, p := range datagrams[next] {
			if err := out.write(p, to); err != nil {
				t.Fatal(err)
			}
			n, from, err := s.rtp.read(b)
			if err != nil {
				t.Fatal(err)
			}
			if p[1]&0x7f == resendType {
				one := s.table.find("a")
				one.sender.gaps[0].nacks = 1 // requested, by what is not measured here
			}
			s.takeRTP(b[:n], from, time.Now())
		}
		next++
	}
	for range 70 { // every slot of every buffer was used once
		frame()
	}
	if got := testing.AllocsPerRun(runs, frame); got != 0 {
		t.Errorf("%v allocations a frame of three packets", got)
	}
	if got, _ := s.Stats("a"); got.Frames != uint64(next) || got.LostFrames != 0 || resent != (got.Resent > 0) ||
		sink.frames != next || sink.packets != 3*next {
		t.Errorf("%d frames: %+v", next, got)
	}
}

// makeDatagrams makes frames of three packets each.
func makeDatagrams(frames int, resent bool, seal func([]byte) []byte) (out [][][]byte) {
	one := played(5)
	for i := range frames {
		f := one.frame(i == 0, uint32(i*3000))
		if resent && i > 0 {
			f[1], f[2] = f[2], resendOf(f[1], 99, uint16(i))
		}
		for j := range f {
			f[j] = seal(f[j])
		}
		out = append(out, f)
	}
	return out
}
