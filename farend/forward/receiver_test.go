// With the real receiver: what a board sends comes out of the forwarding, and a request goes back.

package forward

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/forward/packet"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A board sends to a place by UDP.
type board struct {
	t         *testing.T
	rtp, rtcp *net.UDPConn
	source    *source
}

func newBoard(t *testing.T, p stream.Place) *board {
	t.Helper()
	b := &board{t: t, source: newSource()}
	b.source.packetizer = rtpvp8.NewPacketizer(1200, 1)
	for port, conn := range map[int]**net.UDPConn{p.RTPPort: &b.rtp, p.RTCPPort: &b.rtcp} {
		c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		*conn = c
	}
	return b
}

// begin makes the board's packets those of a source with this SSRC.
func (b *board) begin(ssrc uint32) {
	b.t.Helper()
	b.source = newSource(b)
	b.source.ssrc = ssrc
	sr, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: ssrc}, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
			Source: ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "board"}},
		}}},
	})
	if err == nil {
		_, err = b.rtcp.Write(sr)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// The board is a sink of its source.
func (b *board) TakePacket(p []byte, _ time.Time) {
	p[1] = p[1]&0x80 | packet.PayloadType
	_, _ = b.rtp.Write(p) // what is lost shows at the far end
}
func (b *board) TakeFrame(stream.Frame) {}
func (b *board) Restart()               {}
func (b *board) Close()                 {}

func TestABoardsStreamGoesThroughTheReceiverAndRequestsGoBack(t *testing.T) {
	t.Parallel()
	_, frames := clip(t)
	far := listenPair(t, "127.0.0.1")
	var server *receiver.Server
	f, err := New(Config{
		Rules: []Rule{{From: "customer:zoo", RTP: toPort(far.port)}}, Now: time.Now,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		KeyFrame: func(id string) { _ = server.RequestKeyFrame(id) }, // unknown: the stream is over
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close(context.Background())
	server, err = receiver.Listen(receiver.Config{
		Host: "127.0.0.1", Sinks: func(g stream.Grant) []stream.Sink { return f.Sinks(g, "zoo", "gate") },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	defer func() { stop(); <-ended }()

	g := grant("a")
	g.SSRC, g.Asker = 0x1234, netip.MustParseAddr("127.0.0.1")
	place, err := server.Begin(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the forwarding begins", func() bool { return f.States()[0].State == StateSending })
	b := newBoard(t, place)
	b.begin(g.SSRC)
	b.source.play(frames[:10], never) // they fit into the socket of far
	first := far.packet()
	for n := 1; n < b.source.sent; n++ {
		if p := far.packet(); p.SequenceNumber != first.SequenceNumber+uint16(n) || p.Extension {
			t.Fatalf("packet %d is %v after %v", n, p.Header, first.Header)
		}
	}
	_, from := far.report()
	if first.SSRC == g.SSRC {
		t.Error("the SSRC is the board's")
	}
	before, _ := server.Stats(g.ID)
	await(t, "the board is asked for a key frame", func() bool {
		far.say(from, &rtcp.PictureLossIndication{MediaSSRC: first.SSRC})
		b.source.play(frames[10:11], never)
		now, _ := server.Stats(g.ID)
		return now.PLIs > before.PLIs
	})
	if err := server.End(ctx, g.ID, "the test wants it"); err != nil {
		t.Error(err)
	}
	await(t, "the forwarding ends", func() bool { return len(f.States()) == 0 })
}
