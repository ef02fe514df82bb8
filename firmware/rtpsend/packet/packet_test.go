package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pion/rtp"
)

// written is a packet with its payload, as rtpsend makes it.
func written(transportID, captureID uint8, captured uint64, payload string) []byte {
	b := make([]byte, MaxSize)
	n := HeaderSize + PutExtensions(b[HeaderSize:], transportID, captureID, captured)
	PutHeader(b, n > HeaderSize, true, 0xfffe, 0x01020304, 0x12345678)
	return b[:n+copy(b[n:], payload)]
}

func TestPacketsAreReadByPion(t *testing.T) {
	for _, c := range []struct {
		name                   string
		transportID, captureID uint8
		captured               uint64
		header                 int
	}{
		{"no extension", 0, 0, 0, 12},
		{"a capture time that nobody reads", 0, 0, 1, 12},
		{"a transport number", 5, 0, 0, 12 + 4 + 4},
		{"a capture time", 0, 3, 1 << 63, 12 + 4 + 12},
		{"both", 5, 3, 1 << 63, 12 + 4 + 12},
		{"both, but no time in this packet", 5, 3, 0, 12 + 4 + 4},
	} {
		b := written(c.transportID, c.captureID, c.captured, "frame")
		if got := HeaderLength(b); got != c.header {
			t.Errorf("%s: header of %d bytes, want %d", c.name, got, c.header)
		}
		if c.transportID != 0 {
			SetTransportNumber(b, 0xabcd)
		}
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if p.SequenceNumber != 0xfffe || p.Timestamp != 0x01020304 || p.SSRC != 0x12345678 || !p.Marker ||
			p.PayloadType != PayloadType || string(p.Payload) != "frame" {
			t.Errorf("%s: pion reads %+v", c.name, p)
		}
		if x := p.GetExtension(5); c.transportID != 0 && (len(x) != 2 || binary.BigEndian.Uint16(x) != 0xabcd) {
			t.Errorf("%s: transport number % x", c.name, x)
		}
		x := p.GetExtension(3)
		borne := len(x) == 8 && binary.BigEndian.Uint64(x) == c.captured
		if want := c.captureID != 0 && c.captured != 0; borne != want {
			t.Errorf("%s: capture time % x", c.name, x)
		}
	}
}

func TestRTXPacketBearsTheOriginalNumberBeforeThePayload(t *testing.T) {
	b := written(5, 0, 0, "frame")
	SetTransportNumber(b, 7)
	before := bytes.Clone(b)
	var p rtp.Packet
	if err := p.Unmarshal(WrapRTX(make([]byte, MaxSize), b, 9, 99)); err != nil {
		t.Fatal(err)
	}
	if p.PayloadType != RTXPayloadType || p.SequenceNumber != 9 || p.SSRC != 99 || !p.Marker ||
		p.Timestamp != 0x01020304 ||
		string(p.Payload) != "\xff\xfeframe" || len(p.GetExtension(5)) != 2 {
		t.Errorf("pion reads %+v", p)
	}
	if !bytes.Equal(b, before) {
		t.Error("the packet itself was changed")
	}
}
