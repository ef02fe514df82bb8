//go:build linux

package losslab

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// ip is an IPv4 packet with UDP to a port.
func ip(port uint16, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

// rtpBytes is an RTP packet without extension.
func rtpBytes(kind byte, seq uint16, ts, ssrc uint32, payload ...byte) []byte {
	b := make([]byte, 12)
	b[0], b[1] = 0x80, kind
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

func TestParseIPTakesWholeUDPPacketsOnly(t *testing.T) {
	good := ip(5004, []byte("hello"))
	padded := append(bytes.Clone(good), 0, 0, 0) // as Ethernet pads short frames
	change := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"UDP", good, true},
		{"padding behind it", padded, true},
		{"cut short", good[:len(good)-1], false},
		{"IPv6", change(0, 0x60), false},
		{"header shorter than IPv4's", change(0, 0x44), false},
		{"TCP", change(9, 6), false},
		{"a first fragment", change(6, 0x20), false},
		{"a later fragment", change(7, 1), false},
		{"UDP longer than IP", change(25, 200), false},
		{"nothing", nil, false},
	} {
		p, ok := parseIP(c.b)
		if ok != c.ok || ok && (p.Port != 5004 || string(p.Payload) != "hello" || p.Size != len(good)) {
			t.Errorf("%s: parseIP = %+v, %v, want %v", c.name, p, ok, c.ok)
		}
	}
}

func TestMediaOfTellsResendsFromNewPackets(t *testing.T) {
	start := time.Unix(1000, 0)
	var all []Packet
	for i, b := range [][]byte{
		rtpBytes(mediaType, 1, 10, 7, 'a'),
		rtpBytes(mediaType, 2, 10, 7, 'b'),
		rtpBytes(mediaType, 1, 10, 7, 'a'), // on NACK, same SSRC
		rtpBytes(rtxType, 900, 10, 8, 0, 2, 'b'),
		rtpBytes(mediaType, 1, 99, 7, 'c'), // 65536 later
		rtpBytes(33, 5, 10, 7, 'x'),        // not ours
		[]byte("short"),
	} {
		all = append(all, Packet{At: start.Add(time.Duration(i) * time.Second), Port: rtpPort, Size: len(b) + 28,
			Payload: b})
	}
	all = append(all, Packet{At: start, Port: rtcpPort, Payload: rtpBytes(mediaType, 3, 10, 7)})
	got := pickMedia(all, start)
	want := []bool{false, false, true, true, false}
	if len(got) != len(want) {
		t.Fatalf("%d packets of media, want %d", len(got), len(want))
	}
	for i, m := range got {
		if m.repeated != want[i] || m.at != time.Duration(i)*time.Second {
			t.Errorf("packet %d: again %v at %v, want %v", i, m.repeated, m.at, want[i])
		}
	}
}

func FuzzPackets(f *testing.F) {
	f.Add(ip(5004, rtpBytes(mediaType, 1, 2, 3, 4, 5)))
	// padding, extension, CSRCs
	f.Add(ip(5004, append([]byte{0xbf, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, make([]byte, 80)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseIP(b)
		if !ok {
			return
		}
		if p.Size > len(b) || len(p.Payload) > p.Size-28 {
			t.Fatalf("size %d, payload %d bytes of a packet of %d", p.Size, len(p.Payload), len(b))
		}
		for _, m := range pickMedia([]Packet{p}, p.At) {
			if len(m.payload) > len(p.Payload)-12 {
				t.Fatalf("%d bytes of payload in a packet of %d", len(m.payload), len(p.Payload))
			}
			assembleFrames([]mediaPacket{m, m})
		}
	})
}
