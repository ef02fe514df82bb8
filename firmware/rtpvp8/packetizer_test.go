// pion's depacketizer is the oracle for what the Packetizer writes.

package rtpvp8

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pion/rtp/codecs"
)

// testFrame is a frame of n bytes with a valid header and bytes that tell where
// they stood.
func testFrame(key bool, n int) []byte {
	f := make([]byte, n)
	for i := range f {
		f[i] = byte(i * 7)
	}
	header := []byte{1, 0, 0}
	if key {
		header = []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01} // 640x480
	}
	copy(f, header)
	return f
}

// payloads cuts a frame into copies of its payloads.
func payloads(p *Packetizer, frame []byte) [][]byte {
	var out [][]byte
	buf := make([]byte, MaxPayload)
	p.Start(frame)
	for last := len(frame) == 0; !last; {
		var n int
		n, last = p.Next(buf)
		out = append(out, bytes.Clone(buf[:n]))
	}
	return out
}

func TestPionReadsBackEveryFrame(t *testing.T) {
	for _, c := range []struct {
		name       string
		max, bytes int
		packets    int
	}{
		{"a frame of one byte", MaxPayload, 1, 1},
		{"a frame that just fits", MaxPayload, MaxPayload - descriptorSize, 1},
		{"one byte more makes two packets", MaxPayload, MaxPayload - descriptorSize + 1, 2},
		{"a key frame of many packets", MaxPayload, 20_000, 14},
		{"the smallest payload", descriptorSize + 1, 10, 10},
		{"a limit without room for data is raised", 0, 10, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPacketizer(c.max, 0)
			frame := testFrame(true, max(c.bytes, 10))[:c.bytes]
			got := payloads(p, frame)
			if len(got) != c.packets {
				t.Errorf("%d packets, want %d", len(got), c.packets)
			}
			var whole []byte
			for i, b := range got {
				var v codecs.VP8Packet
				data, err := v.Unmarshal(b)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if want := i == 0; (v.S == 1) != want || v.PID != 0 || v.N != 0 {
					t.Errorf("packet %d: S %d PID %d N %d, want S only on the first", i, v.S, v.PID, v.N)
				}
				if v.X != 1 || v.I != 1 || b[2]&bitM == 0 || v.PictureID != 0 {
					t.Errorf("packet %d: descriptor % x lacks PictureID 0 of 15 bits", i, b[:descriptorSize])
				}
				if len(b) > max(c.max, descriptorSize+1) || len(got[0])-len(b) > 1 {
					t.Errorf("packet %d has %d bytes, the first %d, the limit is %d", i, len(b), len(got[0]), c.max)
				}
				whole = append(whole, data...)
			}
			if !bytes.Equal(whole, frame) {
				t.Errorf("pion gives %d bytes that differ from the frame's %d", len(whole), len(frame))
			}
		})
	}
}

func TestPictureIDCountsFramesAndWrapsAt15Bits(t *testing.T) {
	p := NewPacketizer(MaxPayload, 0x7ffe)
	for _, want := range []uint16{0x7ffe, 0x7fff, 0, 1} {
		got := payloads(p, testFrame(false, 3000))
		for i, b := range got {
			var v codecs.VP8Packet
			if _, err := v.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			if v.PictureID != want || p.pictureID != want {
				t.Errorf("packet %d: PictureID %#x and %#x, want %#x", i, v.PictureID, p.pictureID, want)
			}
		}
		if got := payloads(p, nil); len(got) != 0 {
			t.Errorf("an empty frame has %d packets, want 0", len(got))
		}
	}
}

func TestNextRefusesBufferWithoutRoom(t *testing.T) {
	p := NewPacketizer(MaxPayload, 0)
	p.Start(testFrame(false, 100))
	if n, last := p.Next(make([]byte, descriptorSize)); n != 0 || !last {
		t.Errorf("Next(4 bytes) = %d, %v, want 0, true", n, last)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	p := NewPacketizer(MaxPayload, 0)
	frame, buf := testFrame(true, 20_000), make([]byte, MaxPayload)
	if n := testing.AllocsPerRun(100, func() {
		p.Start(frame)
		for last := false; !last; {
			_, last = p.Next(buf)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a frame, want 0", n)
	}
}

// BenchmarkPacketize stands beside pion's payloader: 600 kbit/s at 30 fps are
// frames of 2,500 bytes.
func BenchmarkPacketize(b *testing.B) {
	for _, size := range []int{2_500, 20_000} {
		frame := testFrame(true, size)
		b.Run(fmt.Sprintf("ours-%d", size), func(b *testing.B) {
			p, buf := NewPacketizer(MaxPayload, 0), make([]byte, MaxPayload)
			b.ReportAllocs()
			for b.Loop() {
				p.Start(frame)
				for last := false; !last; {
					_, last = p.Next(buf)
				}
			}
		})
		b.Run(fmt.Sprintf("pion-%d", size), func(b *testing.B) {
			p := codecs.VP8Payloader{EnablePictureID: true}
			b.ReportAllocs()
			for b.Loop() {
				p.Payload(MaxPayload, frame)
			}
		})
	}
}
