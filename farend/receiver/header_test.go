package receiver

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
)

// FuzzHeader: what pion reads is read alike; what it refuses need not be refused.
func FuzzHeader(f *testing.F) {
	for _, profile := range []uint16{oneByteExtensions, twoByteExtensions} {
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: 7, Timestamp: 9, SSRC: 5,
			CSRC: []uint32{1, 2}, Extension: true, ExtensionProfile: profile}, Payload: []byte{1, 2, 3}}
		for id := range uint8(3) {
			if err := p.SetExtension(id+3, []byte{id, 1}); err != nil {
				f.Fatal(err)
			}
		}
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		padded := append(bytes.Clone(b), 0, 0, 3)
		padded[0] |= paddingBit
		f.Add(padded)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseHeader(b)
		var p rtp.Packet
		if !ok || p.Unmarshal(b) != nil {
			return
		}
		if h.number != p.SequenceNumber || h.timestamp != p.Timestamp || h.ssrc != p.SSRC || h.marker != p.Marker ||
			h.payloadType != p.PayloadType ||
			p.ExtensionProfile != twoByteExtensions && !bytes.Equal(h.payload, p.Payload) {
			t.Errorf("% x: %+v, pion reads %+v", b, h, p)
		}
		for id := range uint8(15) {
			if got, want := h.extension(id), p.GetExtension(id); id > 0 && want != nil && !bytes.Equal(got, want) {
				t.Errorf("% x: extension %d is % x, pion reads % x", b, id, got, want)
			}
		}
	})
}

func TestHeaderThatEndsTooSoonIsNone(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":                   {},
		"a header cut":              make([]byte, 11),
		"RTCP":                      {0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0},
		"contributing sources cut":  {0x81, 96, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0},
		"extensions cut":            {0x90, 96, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1},
		"padding of nothing":        {0xa0, 96, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0},
		"padding longer than it":    {0xa0, 96, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 2},
		"padding that is not there": {0xa0, 96, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		if h, ok := parseHeader(b); ok {
			t.Errorf("%s: %+v", name, h)
		}
	}
}
