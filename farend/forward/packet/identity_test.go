package packet

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtp"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func packetOf(ssrc uint32, sequence uint16, stamp uint32) []byte {
	b := []byte{0x80, 96}
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = binary.BigEndian.AppendUint32(b, stamp)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, 'x')
}

// fullPacket has all that a header can have: a contributing source, an extension, padding.
func fullPacket(payload string, marker bool) []byte {
	b := packetOf(5, 6, 7)
	b[0] |= 0x20 | 0x10 | 1
	if marker {
		b[1] |= 0x80
	}
	b = append(b[:headerSize], 1, 2, 3, 4)
	b = append(b, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0) // RFC 8285
	b = append(b, payload...)
	return append(b, 0, 0, 3)
}

// A step is a packet that comes.
type step struct {
	sequence uint16
	stamp    uint32
	after    time.Duration // since the first
	restart  bool          // before it
	want     int           // number since the first one sent; -1: it is dropped
	wantTime uint32        // since the first one sent
}

func TestNumbersGoOnOverRestartsAndKeepGaps(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"a gap stays", []step{
			{10, 0, 0, false, 0, 0}, {12, 3000, 33 * ms, false, 2, 3000}, {11, 3000, 34 * ms, false, 1, 3000},
		}},
		{"both wrap", []step{{65535, 0xffffffff, 0, false, 0, 0}, {0, 2999, 0, false, 1, 3000}}},
		{"a restart leaves no gap, and time as it went", []step{
			{65535, 5, 0, false, 0, 0}, {7, 777, 2 * time.Second, true, 1, 180000},
			{8, 3777, 2033 * ms, false, 2, 183000},
		}},
		{"what was late when the source began anew", []step{
			{65535, 5, 0, false, 0, 0}, {7, 777, time.Second, true, 1, 90000}, {6, 777, time.Second, false, -1, 0},
			{8, 777, time.Second, false, 2, 90000},
		}},
		{"a restart follows the highest number", []step{
			{5, 0, 0, false, 0, 0}, {7, 3000, 30 * ms, false, 2, 3000}, {6, 3000, 31 * ms, false, 1, 3000},
			{900, 1, 40 * ms, true, 3, 3900},
		}},
		{"two restarts in a row", []step{{5, 0, 0, true, 0, 0}, {5, 0, 0, true, 1, 1}, {5, 0, 0, true, 2, 2}}},
		{"a day of silence", []step{
			{5, 0, 0, false, 0, 0}, {5, 0, 30 * time.Hour, true, 1, 30 * 3600 * 90000 % (1 << 32)},
		}},
	} {
		i := NewIdentity()
		var first Part
		for n, s := range c.steps {
			if s.restart {
				i.Restart()
			}
			p, ok := i.Take(packetOf(1, s.sequence, s.stamp), noon.Add(s.after))
			if n == 0 {
				first = p
			}
			if ok != (s.want >= 0) {
				t.Errorf("%s: packet %d was taken: %v", c.name, n, ok)
			} else if ok && (p.Sequence != first.Sequence+uint16(s.want) || p.Time != first.Time+s.wantTime) {
				t.Errorf("%s: packet %d has number %d, time %d, want %d, %d", c.name, n,
					p.Sequence-first.Sequence, p.Time-first.Time, s.want, s.wantTime)
			}
		}
	}
}

// The numbers of 70,000 packets wrap: none of them is taken for one of the source before.
func TestNoPacketOfALongStreamIsTakenForALateOne(t *testing.T) {
	i := NewIdentity()
	for n := range 70_000 {
		if _, ok := i.Take(packetOf(1, uint16(n), uint32(n)), noon); !ok {
			t.Fatalf("packet %d was dropped", n)
		}
	}
}

func TestOfAPacketOnlyPayloadAndMarkerAreSentOn(t *testing.T) {
	i := NewIdentity()
	for _, marker := range []bool{true, false} {
		in := fullPacket("payload", marker)
		p, ok := i.Take(in, noon)
		var out rtp.Packet
		if err := out.Unmarshal(i.Append(nil, p)); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if string(out.Payload) != "payload" || out.Marker != marker || out.PayloadType != 96 || out.SSRC != i.SSRC ||
			out.Extension || out.Padding || len(out.CSRC) != 0 {
			t.Errorf("%+v, want the payload under our SSRC and nothing else", out)
		}
	}
}

func FuzzWhateverComesAsAPacketIsReadInItsBounds(f *testing.F) {
	f.Add(fullPacket("payload", true))
	f.Add(packetOf(1, 2, 3))
	f.Add([]byte{0xbf, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, ok := payloadOf(b)
		if ok && len(payload) > len(b)-headerSize {
			t.Errorf("payload of %d bytes in a packet of %d", len(payload), len(b))
		}
		var p rtp.Packet
		if p.Unmarshal(b) == nil && p.Version == 2 && ok && string(payload) != string(p.Payload) {
			t.Errorf("payload %x, pion reads %x", payload, p.Payload)
		}
	})
}
