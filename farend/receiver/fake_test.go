package receiver

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// fakeConn is one of the receiver's sockets without a network: it keeps what is sent.
type fakeConn struct {
	net.PacketConn
	sent [][]byte
}

func (w *fakeConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	w.sent = append(w.sent, append([]byte(nil), b...))
	return len(b), nil
}
func (w *fakeConn) LocalAddr() net.Addr { return &net.UDPAddr{Port: 5004} }

// take gives the RTCP packets sent since the last call.
func (w *fakeConn) take(t *testing.T) []rtcp.Packet {
	t.Helper()
	var all []rtcp.Packet
	for _, b := range w.sent {
		packets, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rtcp.Marshal(packets); err != nil {
			t.Fatal(err)
		}
		all = append(all, packets...)
	}
	w.sent = nil
	return all
}

// bench is a Server on such sockets with one stream, a clock that the test moves, and a sender.
type bench struct {
	*Server
	t       *testing.T
	rtcpOut *fakeConn
	clock   time.Time
	playedSender
	streams int
	sink    *fakeSink
}

// A fakeSink keeps what it is given.
type fakeSink struct {
	frames   []stream.Frame
	packets  [][]byte
	restarts int
	closed   bool
	problem  string
}

func (s *fakeSink) TakePacket(b []byte, _ time.Time)        { s.packets = append(s.packets, bytes.Clone(b)) }
func (s *fakeSink) TakeFrame(f stream.Frame)                { f.Bytes = nil; s.frames = append(s.frames, f) }
func (s *fakeSink) Restart()                                { s.restarts++ }
func (s *fakeSink) Close()                                  { s.closed = true }
func (s *fakeSink) Report() (record string, problem string) { return "", s.problem }

// playedSender makes the packets of a sender.
type playedSender struct {
	ssrc       uint32
	seq        uint16
	packetizer *rtpvp8.Packetizer
}

var source1 = netip.MustParseAddrPort("192.0.2.1:5007")

// sizeOfFrame makes three packets.
const sizeOfFrame = 3000

func newBench(t *testing.T) *bench {
	b := &bench{t: t, rtcpOut: &fakeConn{}, clock: time.Unix(1_800_000_000, 0)}
	b.playedSender = playedSender{ssrc: 0x1234, seq: 65533, packetizer: rtpvp8.NewPacketizer(1200, 32767)}
	var err error
	b.Server, err = Listen(Config{
		RTP: &fakeConn{}, RTCP: b.rtcpOut, CamerasMax: 1,
		Now: func() time.Time { return b.clock }, Random: func() float64 { return 0.5 },
		Sinks: func(stream.Grant) []stream.Sink { return []stream.Sink{b.sink} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Begin(nil, 0, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) takeRTP(p []byte, from netip.AddrPort)  { b.Server.takeRTP(p, from, b.clock) }
func (b *bench) takeRTCP(p []byte, from netip.AddrPort) { b.Server.takeRTCP(p, from, b.clock) }

func (b *bench) id() string { return strconv.Itoa(b.streams) }

// Begin begins the next stream.
func (b *bench) Begin(k *wire.SRTP, ssrc uint32, asker netip.Addr) error {
	b.sink = &fakeSink{}
	b.streams++
	_, err := b.Server.Begin(b.t.Context(), stream.Grant{ID: b.id(), SRTP: k, SSRC: ssrc, Asker: asker})
	return err
}

// End also waits for what it leaves to others.
func (b *bench) End() {
	b.t.Helper()
	if err := b.Server.End(b.t.Context(), b.id(), "the test wants it"); err != nil {
		b.t.Error(err)
	}
	b.closing.Wait()
}

func (b *bench) Stats() stream.Stats {
	b.t.Helper()
	s, ok := b.Server.Stats(b.id())
	if !ok {
		b.t.Errorf("no stream %s", b.id())
	}
	return s
}

func (b *bench) Captured(asker netip.Addr) (code int, words string, err error) {
	v, err := b.Server.Captured(b.t.Context(), b.id(), asker)
	return v.Code, v.Words, err
}

// session is the stream's.
func (b *bench) session() *session { return b.table.find(b.id()).session }

// wait moves the clock in the receiver's own steps.
func (b *bench) wait(d time.Duration) {
	for range int(d / dueInterval) {
		b.clock = b.clock.Add(dueInterval)
		b.sendDue()
	}
}

// frame makes the datagrams of a VP8 frame of 320x240.
func (s *playedSender) frame(key bool, ts uint32) [][]byte {
	f := make([]byte, sizeOfFrame)
	f[0] = 0x11 // to be shown
	if key {
		copy(f, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0})
	}
	s.packetizer.Start(f)
	return s.packets(ts)
}

// packets makes the datagrams of the frame that the packetizer holds.
func (s *playedSender) packets(ts uint32) (packets [][]byte) {
	for last := false; !last; {
		payload := make([]byte, 1200)
		var n int
		n, last = s.packetizer.Next(payload)
		packets = append(packets, s.packet(payload[:n], ts, last))
	}
	return packets
}

// packetsOf makes the datagram of a payload that is no VP8.
func (s *playedSender) packetsOf(payload []byte, ts uint32) [][]byte {
	return [][]byte{s.packet(payload, ts, true)}
}

func (s *playedSender) packet(payload []byte, ts uint32, last bool) []byte {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: s.seq, Timestamp: ts,
		SSRC: s.ssrc, Marker: last}, Payload: payload}
	s.seq++
	b, err := p.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// send passes datagrams to the receiver, all but those with the indices of lost.
func (b *bench) send(packets [][]byte, lost ...int) {
	for i, p := range packets {
		skip := false
		for _, l := range lost {
			skip = skip || l == i
		}
		if !skip {
			b.takeRTP(p, source1)
		}
	}
}

func (b *bench) control(packets ...rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		b.t.Fatal(err)
	}
	b.takeRTCP(raw, source1)
}

// report is a sender report whose NTP time is t.
func (b *bench) report(ntp uint64, ts uint32) {
	b.control(&rtcp.SenderReport{SSRC: b.playedSender.ssrc, NTPTime: ntp, RTPTime: ts},
		rtcp.NewCNAMESourceDescription(b.playedSender.ssrc, "x"))
}

func contextWithStop(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}
