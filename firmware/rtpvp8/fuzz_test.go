// Fuzz targets: encode, disturb, decode, compare; and bytes from anywhere.

package rtpvp8

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pion/rtp/codecs"
)

// FuzzRoundTrip sends a frame three times in packets of any size. disturb swaps
// neighbours or drops packets: what comes back is the frame or nothing.
func FuzzRoundTrip(f *testing.F) {
	f.Add(testFrame(true, 3000), 1200, uint16(65535), []byte(nil))
	f.Add(testFrame(false, 50), 5, uint16(0x7fff), []byte{0, 1, 2, 0, 1})
	f.Fuzz(func(t *testing.T, frame []byte, maxPayload int, first uint16, disturb []byte) {
		if len(frame) > 64<<10 || maxPayload > MaxPayload || maxPayload < len(frame)/1000 {
			return
		}
		_, headerErr := ParseHeader(frame)
		p := NewPacketizer(maxPayload, first)
		var packets []packet
		for range 3 {
			parts := payloads(p, frame)
			for i, b := range parts {
				n := len(packets)
				packets = append(packets, packet{seq: first + uint16(n), ts: uint32(p.pictureID),
					marker: i == len(parts)-1, data: b})
			}
		}
		dropped := 0
		for i, d := range disturb {
			switch {
			case i+1 >= len(packets):
			case d == 1:
				packets[i], packets[i+1] = packets[i+1], packets[i]
			case d == 2 && packets[i].data != nil:
				packets[i].data = nil
				dropped++
			}
		}
		frames := 0
		a := NewAssembler(maxReorder, func(got Frame) {
			frames++
			if !bytes.Equal(got.Bytes, frame) {
				t.Fatalf("%d bytes came back, not the frame of %d", len(got.Bytes), len(frame))
			}
		})
		for _, q := range packets {
			if q.data != nil {
				if err := a.Push(q.seq, q.ts, q.marker, q.data); err != nil {
					t.Fatal(err)
				}
			}
		}
		a.Flush()
		if swappedFirst := len(disturb) > 0 && disturb[0] != 0; headerErr == nil && len(frame) > 0 && dropped == 0 &&
			!swappedFirst && frames != 3 {
			t.Fatalf("%d frames came back, want 3; %+v", frames, a.Counters())
		}
	})
}

// FuzzPush feeds packets cut out of raw bytes: sequence step, timestamp step,
// marker, length, payload. pion must agree with us about every descriptor it reads.
func FuzzPush(f *testing.F) {
	f.Add([]byte{1, 0, 1, 5, 0x90, 0x80, 0x80, 0x01, 0x01, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 64<<10 {
			return
		}
		out := 0
		a := NewAssembler(8, func(got Frame) {
			out += len(got.Bytes)
			if len(got.Bytes) < tagSize {
				t.Fatalf("frame of %d bytes", len(got.Bytes))
			}
		})
		var seq uint16
		var ts uint32
		for rest := in; len(rest) >= 5; {
			seq += uint16(int8(rest[0])) * uint16(1+rest[4]%64)
			ts += uint32(rest[1])
			marker, n := rest[2]&1 != 0, min(int(binary.LittleEndian.Uint16(rest[2:])>>1)%64, len(rest)-4)
			payload := rest[4 : 4+n]
			rest = rest[4+n:]
			err := a.Push(seq, ts, marker, payload)
			var pion codecs.VP8Packet
			if _, pionErr := pion.Unmarshal(payload); len(payload) > 0 && (err == nil) != (pionErr == nil) {
				t.Fatalf("descriptor of % x: ours %v, pion %v", payload, err, pionErr)
			}
			if d, err := parseDescriptor(payload); err == nil && d.pictureID != NoPictureID &&
				uint16(d.pictureID) != pion.PictureID {
				t.Fatalf("PictureID of % x: ours %#x, pion %#x", payload, d.pictureID, pion.PictureID)
			}
		}
		a.Flush()
		if out > len(in) {
			t.Fatalf("%d bytes of frames out of %d", out, len(in))
		}
	})
}
