// Transport-wide numbers out, feedback in: what the path hears.

package rtpsend

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// A diary is a Path that writes down what it hears.
type diary struct {
	sent    int
	bytes   int
	payload int
	smaller int // times
	lines   []string
}

func (d *diary) NoteSent(_ time.Duration, size, payload int) {
	d.sent++
	d.bytes += size
	d.payload += payload
}

func (d *diary) NoteArrival(sent, arrived time.Duration, size int) {
	d.lines = append(d.lines, fmt.Sprintf("%v arrived %v, %d", sent-time.Hour, arrived, size))
}

func (d *diary) EndArrivals(now, newest time.Duration, inFlight int) {
	d.lines = append(d.lines, fmt.Sprintf("feedback up to %v, %d in flight", newest-time.Hour, inFlight))
}

func (d *diary) NoteReport(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64) {
	d.lines = append(d.lines, fmt.Sprintf("report of %v loss up to %v, %d in flight, %d acked",
		loss, newest-time.Hour, inFlight, acked))
}

func (d *diary) NoteEcho(now, sent time.Duration, before uint64, inFlight int) {
	d.lines = append(d.lines, fmt.Sprintf("echo at %v of %v behind %d, %d in flight",
		now-time.Hour, sent-time.Hour, before, inFlight))
}

func (d *diary) NoteMissing(_, sent time.Duration) {
	d.lines = append(d.lines, fmt.Sprintf("%v is missing", sent-time.Hour))
}

func (d *diary) NoteSmallerPackets(time.Duration) { d.smaller++ }

func (d *diary) NoteEstimate(_ time.Duration, bitrate float64) {
	d.lines = append(d.lines, fmt.Sprintf("at most %.0f bit/s", bitrate))
}

// told is feedback about packets from base on, arrivals in ms; below 0: did not arrive.
func told(base uint16, arrivals ...int) *rtcp.TransportLayerCC {
	p := &rtcp.TransportLayerCC{
		SenderSSRC: 1, MediaSSRC: testSSRC, BaseSequenceNumber: base,
		PacketStatusCount: uint16(len(arrivals)), ReferenceTime: 1000,
		Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback},
	}
	chunk := &rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit}
	last := 0
	for _, at := range arrivals {
		if at < 0 {
			chunk.SymbolList = append(chunk.SymbolList, rtcp.TypeTCCPacketNotReceived)
			continue
		}
		kind := uint16(rtcp.TypeTCCPacketReceivedSmallDelta)
		if at < last || at-last > 63 {
			kind = rtcp.TypeTCCPacketReceivedLargeDelta
		}
		chunk.SymbolList = append(chunk.SymbolList, kind)
		p.RecvDeltas = append(p.RecvDeltas, &rtcp.RecvDelta{Type: kind, Delta: int64(at-last) * 1000})
		last = at
	}
	for len(chunk.SymbolList) < 7 {
		chunk.SymbolList = append(chunk.SymbolList, rtcp.TypeTCCPacketNotReceived)
	}
	p.PacketChunks = []rtcp.PacketStatusChunk{chunk}
	n := 20 + 2
	for _, d := range p.RecvDeltas {
		n++
		if d.Type == rtcp.TypeTCCPacketReceivedLargeDelta {
			n++
		}
	}
	p.Header.Padding = n%4 != 0
	p.Header.Length = uint16((n+3)/4 - 1)
	return p
}

func TestPathHearsWhenPacketsLeftArrivedOrDidNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{TransportID: 5, CaptureTimeID: 3, Path: path})
		defer r.Close()
		for range 3 {
			r.frame(t, false, 1000)
			time.Sleep(10 * time.Millisecond)
		}
		for i, p := range r.media.packets {
			if b := p.GetExtension(5); len(b) != 2 || binary.BigEndian.Uint16(b) != uint16(i) {
				t.Errorf("packet %d bears % x", i, b)
			}
			if b := p.GetExtension(3); len(b) != 8 {
				t.Errorf("packet %d has no capture time beside", i)
			}
		}
		size := path.bytes / path.sent
		r.feed(t, told(0, 40, -1, 150))
		synctest.Wait()
		base := 1000 * 64 * time.Millisecond
		want := []string{
			fmt.Sprintf("0s arrived %v, %d", base+40*time.Millisecond, size),
			"10ms is missing",
			fmt.Sprintf("20ms arrived %v, %d", base+150*time.Millisecond, size),
			"feedback up to 20ms, 0 in flight",
		}
		if diff := cmp.Diff(want, path.lines); diff != "" {
			t.Errorf("(-want +heard):\n%s", diff)
		}
		path.lines = nil
		r.feed(t, told(0, 40, 41, 150, 160)) // two are told already, one is not sent yet
		r.feed(t, nack(65535))               // who tells of arrivals is not believed about lateness
		synctest.Wait()
		want = []string{fmt.Sprintf("10ms arrived %v, %d", base+41*time.Millisecond, size),
			"feedback up to 10ms, " + fmt.Sprint(2*size) + " in flight"}
		want[1] = fmt.Sprintf("feedback up to 10ms, %d in flight", path.bytes-2*size-size*(path.sent-3))
		if diff := cmp.Diff(want[:1], path.lines[:1]); diff != "" || len(path.lines) != 2 {
			t.Errorf("%q: (-want +heard):\n%s", path.lines, diff)
		}
		if got := r.Stats(); got.TransportFeedback != 2 || got.Ignored.Malformed != 0 ||
			path.payload != 3*1003 && path.payload < 3000 {
			t.Errorf("%+v, payload %d", got, path.payload)
		}
	})
}

func TestPathHearsReportsAndRequestsWithoutTransportFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{Path: path})
		defer r.Close()
		for range 4 {
			r.frame(t, false, 1000)
			time.Sleep(10 * time.Millisecond)
		}
		size := path.bytes / path.sent
		// In one datagram, so that the report is heard before the answer to the requests leaves. 77 was
		// never sent.
		r.feed(t, nack(65535), nack(65535), nack(77),
			reception(rtcp.ReceptionReport{SSRC: testSSRC, FractionLost: 64, LastSequenceNumber: 1 << 16}))
		synctest.Wait()
		want := []string{"10ms is missing", fmt.Sprintf("report of 0.25 loss up to 20ms, %d in flight, %d acked",
			size, 3*size)}
		if diff := cmp.Diff(want, path.lines); diff != "" {
			t.Errorf("(-want +heard):\n%s", diff)
		}
		for i, p := range r.media.packets {
			if p.Extension {
				t.Errorf("packet %d has an extension that nobody agreed to", i)
			}
		}
	})
}

func TestResendHasItsOwnTransportNumberAndNoPayloadForThePath(t *testing.T) {
	for name, cfg := range map[string]Config{"as it was": {TransportID: 5}, "RTX": {TransportID: 5, RTX: true}} {
		synctest.Test(t, func(t *testing.T) {
			path := &diary{}
			cfg.Path = path
			r := newRigWith(t, cfg)
			defer r.Close()
			r.frame(t, true, 2500)
			payload := path.payload
			r.feed(t, nack(65535))
			synctest.Wait()
			last := r.media.packets[len(r.media.packets)-1]
			if b := last.GetExtension(5); len(b) != 2 || binary.BigEndian.Uint16(b) != 2 {
				t.Errorf("%s: the resend bears % x, want 2", name, b)
			}
			if path.sent != 3 || path.payload != payload {
				t.Errorf("%s: the path heard of %d packets, %d bytes of VP8, want 3 and %d", name, path.sent,
					path.payload, payload)
			}
		})
	}
}

// A queue delays all packets: a receiver that asks for the latest gets them in the end,
// and to send them again would only make it longer.
func TestLatePacketIsNotSentAgainLostOneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{TransportID: 5})
		defer r.Close()
		send := func(n int) {
			for range n {
				r.frame(t, false, 1000)
				time.Sleep(20 * time.Millisecond)
			}
		}
		send(4) // sequence 65534 to 1, numbers 0 to 3
		r.feed(t, told(0, 1, 21, 41, 61))
		send(10) // 4 to 13
		r.feed(t, told(4, 81, 101))
		r.feed(t, nack(9)) // number 11: behind all that arrived
		synctest.Wait()
		if got := r.Stats().Resends; got.Sent != 0 || got.Early != 1 {
			t.Errorf("%+v, want the late packet not sent again", got)
		}
		r.feed(t, told(6, 250, -1, 260))
		r.feed(t, nack(5)) // number 7, before one that arrived
		synctest.Wait()
		if got := r.Stats().Resends; got.Sent != 1 {
			t.Errorf("%+v, want the lost packet sent again", got)
		}
	})
}

// rtpbin asks for packets that it expects by now. They did not leave, so none is missing,
// least of all the one of 1,024 packets ago, which had the same place in the ring.
func TestPacketThatDidNotLeaveYetIsNotMissing(t *testing.T) {
	const kept = 1024 // as in departures
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{Path: path})
		defer r.Close()
		for range kept {
			r.frame(t, false, 1000)
			time.Sleep(20 * time.Millisecond)
		}
		next := uint16((65534 + kept) % 65536)
		r.feed(t, nack(next))
		synctest.Wait()
		if len(path.lines) != 0 {
			t.Errorf("the path heard of %q", path.lines)
		}
		r.feed(t, nack(next-1))
		synctest.Wait()
		if len(path.lines) != 1 {
			t.Errorf("the path heard of %q, want the latest packet to be missing", path.lines)
		}
	})
}

func TestTransportFeedbackNobodyAskedForIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{Path: path})
		defer r.Close()
		r.frame(t, true, 1000)
		r.feed(t, told(0, 40))
		synctest.Wait()
		if got := r.Stats(); got.TransportFeedback != 0 || got.Ignored.OtherType != 1 || len(path.lines) != 0 {
			t.Errorf("%+v, %q", got, path.lines)
		}
		if strings.Contains(r.SDP(), "transport") {
			t.Errorf("SDP:\n%s", r.SDP())
		}
	})
}

func TestSDPTellsOfTheExtensions(t *testing.T) {
	r := newRigWith(t, Config{TransportID: 5, CaptureTimeID: 4})
	for _, want := range []string{
		"RTP/AVPF 96\r\n", "a=extmap:5 " + packet.TransportURI + "\r\n",
		"a=rtcp-fb:96 transport-cc\r\n", "a=extmap:4 " + packet.CaptureTimeURI + "\r\n",
	} {
		if !strings.Contains(r.SDP(), want) {
			t.Errorf("SDP lacks %q:\n%s", want, r.SDP())
		}
	}
}

func TestTwoExtensionsOfOneIDAreRefused(t *testing.T) {
	for _, c := range []Config{{TransportID: 3, CaptureTimeID: 3}, {TransportID: 15}, {CaptureTimeID: 15}} {
		c.RTP, c.RTCP = testRTP, testRTCP
		if err := c.complete(); err == nil {
			t.Errorf("%d and %d: no error", c.TransportID, c.CaptureTimeID)
		}
	}
}
