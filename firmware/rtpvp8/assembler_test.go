// What the Assembler makes of loss, disorder and other senders' descriptors.

package rtpvp8

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp/codecs"
)

// testPackets makes the packets of a stream: a key frame and then others, 3
// packets each, sequence numbers and timestamps that wrap.
func testPackets(frames int) (packets []packet, want [][]byte) {
	p := NewPacketizer(500, 0x7fff)
	seq, ts := uint16(65530), uint32(0xfffff000)
	for i := range frames {
		frame := testFrame(i == 0, 1200+i)
		parts := payloads(p, frame)
		for j, b := range parts {
			packets = append(packets, packet{seq: seq, ts: ts, marker: j == len(parts)-1, data: b})
			seq++
		}
		want, ts = append(want, frame), ts+3000
	}
	return packets, want
}

// push feeds the packets of the given indices and returns copies of the frames.
func push(t *testing.T, a *Assembler, frames *[]Frame, packets []packet, order []int) {
	t.Helper()
	a.use = func(f Frame) {
		f.Bytes = bytes.Clone(f.Bytes)
		*frames = append(*frames, f)
	}
	for _, i := range order {
		if p := packets[i]; p.data != nil {
			if err := a.Push(p.seq, p.ts, p.marker, p.data); err != nil {
				t.Errorf("Push(%d) = %v", p.seq, err)
			}
		}
	}
}

func TestFramesComeBackWhateverHappensOnTheWay(t *testing.T) {
	type got struct {
		Frames  []int // which of the four
		Damaged int
		Counters
		Waits bool
	}
	for _, c := range []struct {
		name    string
		reorder int
		order   []int // of 4 frames with 3 packets each
		want    got
	}{
		{"in order", 1, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
			got{Frames: []int{0, 1, 2, 3}, Counters: Counters{Frames: 4}}},
		{"overtaking inside a frame", 4, []int{0, 2, 1, 5, 4, 3, 6, 7, 8, 9, 10, 11},
			got{Frames: []int{0, 1, 2, 3}, Counters: Counters{Frames: 4}}},
		{"overtaking across frames", 4, []int{0, 1, 3, 2, 4, 6, 5, 7, 9, 8, 10, 11},
			got{Frames: []int{0, 1, 2, 3}, Counters: Counters{Frames: 4}}},
		{"every packet twice", 4, []int{0, 0, 1, 2, 1, 3, 5, 5, 4, 6, 7, 8, 9, 10, 11, 11},
			got{Frames: []int{0, 1, 2, 3}, Counters: Counters{Frames: 4, Late: 4}}},
		{"too late is lost", 1, []int{0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11},
			got{Frames: []int{0, 2, 3}, Damaged: 2, Counters: Counters{Frames: 3, Lost: 1, Missing: 1, Late: 1},
				Waits: true}},
		{"the last packet of a frame lost", 1, []int{0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11},
			got{Frames: []int{0, 2, 3}, Damaged: 2, Counters: Counters{Frames: 3, Lost: 1, Missing: 1}, Waits: true}},
		{"the first packet of a frame lost", 1, []int{0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11},
			got{Frames: []int{0, 2, 3}, Damaged: 2, Counters: Counters{Frames: 3, Lost: 1, Missing: 1}, Waits: true}},
		{"two whole frames lost", 1, []int{0, 1, 2, 9, 10, 11}, got{Frames: []int{0, 3}, Damaged: 1,
			Counters: Counters{Frames: 2, Lost: 2, Missing: 6}, Waits: true}},
		{"parts of two frames lost in one gap", 1, []int{0, 1, 2, 3, 8, 9, 10, 11},
			got{Frames: []int{0, 3}, Damaged: 1, Counters: Counters{Frames: 2, Lost: 2, Missing: 4}, Waits: true}},
		{"the key frame lost", 1, []int{0, 2, 3, 4, 5}, got{Frames: []int{1}, Damaged: 1,
			Counters: Counters{Frames: 1, Lost: 1, Missing: 1}, Waits: true}},
		{"the last frame never whole", 1, []int{0, 1, 2, 3, 4}, got{Frames: []int{0}, Counters: Counters{Frames: 1}}},
		{"a loss is told before the next frame is whole", 1, []int{0, 1, 2, 3, 5},
			got{Frames: []int{0}, Counters: Counters{Frames: 1, Missing: 1}, Waits: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets, want := testPackets(4)
			a := NewAssembler(c.reorder, nil)
			var frames []Frame
			push(t, a, &frames, packets, c.order)
			g := got{Counters: a.Counters(), Waits: a.WaitsForKeyFrame()}
			for _, f := range frames {
				i := (f.PictureID - 0x7fff) & idMask15
				g.Frames = append(g.Frames, i)
				if f.Damaged {
					g.Damaged++
				}
				if i >= len(want) || !bytes.Equal(f.Bytes, want[i]) || f.Key != (i == 0) {
					t.Errorf("frame with PictureID %#x: %d bytes, key %v: not the one sent", f.PictureID,
						len(f.Bytes), f.Key)
				}
			}
			if diff := cmp.Diff(c.want, g); diff != "" {
				t.Errorf("want - got +\n%s", diff)
			}
		})
	}
}

func TestKeyFrameEndsTheWaitAndTellsItsSize(t *testing.T) {
	a := NewAssembler(1, nil)
	if !a.WaitsForKeyFrame() {
		t.Error("a new Assembler waits for no key frame")
	}
	packets, _ := testPackets(1)
	var frames []Frame
	push(t, a, &frames, packets, []int{0, 1, 2})
	if a.WaitsForKeyFrame() || len(frames) != 1 {
		t.Fatalf("after the key frame: waits %v, %d frames", a.WaitsForKeyFrame(), len(frames))
	}
	if f := frames[0]; f.Width != 640 || f.Height != 480 || f.Timestamp != 0xfffff000 || f.Damaged {
		t.Errorf("key frame is %dx%d at %#x, damaged %v, want 640x480 at 0xfffff000, whole", f.Width, f.Height,
			f.Timestamp, f.Damaged)
	}
}

func TestFlushHandsOutWhatWaitsBehindAGap(t *testing.T) {
	packets, _ := testPackets(3)
	a := NewAssembler(64, nil)
	var frames []Frame
	a.Flush() // before the first packet: nothing
	push(t, a, &frames, packets, []int{0, 1, 2, 3, 5, 6, 7, 8})
	if len(frames) != 1 {
		t.Fatalf("%d frames before Flush, want 1", len(frames))
	}
	a.Flush()
	if len(frames) != 2 || frames[1].PictureID != 1 || a.Counters().Missing != 1 {
		t.Errorf("after Flush: %d frames, %+v, want the third frame and 1 missing packet", len(frames), a.Counters())
	}
}

func TestStrayPacketIsIgnoredAndNewStartIsFollowed(t *testing.T) {
	packets, _ := testPackets(3)
	packets[3].seq += 20_000
	for i := 6; i < 9; i++ {
		packets[i].seq -= 10_000
	}
	a := NewAssembler(8, nil)
	var frames []Frame
	push(t, a, &frames, packets, []int{0, 1, 2, 3})
	if n := a.Counters(); n.Late != 1 || n.Missing != 0 || a.WaitsForKeyFrame() {
		t.Errorf("after a stray packet: %+v, waits %v, want it dropped", n, a.WaitsForKeyFrame())
	}
	// The sender starts over: the second packet proves it.
	next, _ := testPackets(4)
	for i := range next {
		next[i].seq -= 10_000
	}
	push(t, a, &frames, next, []int{2, 3, 4, 5})
	if len(frames) != 2 {
		t.Errorf("%d frames, want the key frame and the first whole frame of the new start", len(frames))
	}
}

func TestMissingPaddingIsNoLostFrame(t *testing.T) {
	packets, _ := testPackets(2)
	for i := 3; i < 6; i++ {
		packets[i].seq++ // one packet of padding stood in between and got lost
	}
	a := NewAssembler(1, nil)
	var frames []Frame
	push(t, a, &frames, packets, []int{0, 1, 2, 3, 4, 5})
	if n := a.Counters(); n.Lost != 0 || n.Frames != 2 || frames[1].Damaged || a.WaitsForKeyFrame() {
		t.Errorf("%+v, damaged %v, want 2 whole frames and none lost", n, frames[1].Damaged)
	}
	if err := a.Push(packets[5].seq+1, packets[5].ts, false, nil); err != nil {
		t.Errorf("Push of padding = %v", err)
	}
}

func TestEveryFormOfDescriptorIsRead(t *testing.T) {
	key := testFrame(true, 20)
	for _, c := range []struct {
		name       string
		descriptor []byte
		pictureID  int
	}{
		{"no extension", []byte{0x10}, NoPictureID},
		{"an empty extension", []byte{0x90, 0x00}, NoPictureID},
		{"PictureID of 7 bits", []byte{0x90, 0x80, 0x55}, 0x55},
		{"PictureID of 15 bits", []byte{0x90, 0x80, 0xd5, 0xaa}, 0x55aa},
		{"TL0PICIDX alone", []byte{0x90, 0x40, 0x01}, NoPictureID},
		{"TID alone", []byte{0x90, 0x20, 0x40}, NoPictureID},
		{"KEYIDX alone", []byte{0x90, 0x10, 0x1f}, NoPictureID},
		{"all there is", []byte{0x90, 0xf0, 0x80, 0x07, 0x01, 0x7f}, 7},
		{"reserved bits and N set", []byte{0xf8, 0x8f, 0x01}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []Frame
			a := NewAssembler(1, func(f Frame) { got = append(got, f) })
			if err := a.Push(1, 2, true, append(c.descriptor, key...)); err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0].PictureID != c.pictureID || !bytes.Equal(got[0].Bytes, key) {
				t.Errorf("got %+v, want the key frame with PictureID %d", got, c.pictureID)
			}
			for n := 1; n < len(c.descriptor); n++ {
				if _, err := parseDescriptor(c.descriptor[:n]); !errors.Is(err, ErrMalformed) {
					t.Errorf("%d bytes of it: %v, want ErrMalformed", n, err)
				}
			}
		})
	}
}

func TestBytesThatAreNoVP8CountAndEndNothing(t *testing.T) {
	key := testFrame(true, 20)
	for _, c := range []struct {
		name    string
		payload []byte
	}{
		{"a descriptor cut short", []byte{0x90, 0x80}},
		{"a frame without a tag", []byte{0x10, 0x01}},
		{"a key frame cut in its header", append([]byte{0x10}, key[:9]...)},
		{"a key frame without start code", append([]byte{0x10}, make([]byte, 12)...)},
		{"a key frame of no width", []byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0xc0, 1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			frames := 0
			a := NewAssembler(1, func(Frame) { frames++ })
			_ = a.Push(1, 1, true, c.payload)
			if frames != 0 || a.Counters().Malformed != 1 || !a.WaitsForKeyFrame() {
				t.Errorf("%d frames, %+v, want none and 1 malformed", frames, a.Counters())
			}
			if err := a.Push(2, 2, true, append([]byte{0x10}, key...)); err != nil || frames != 1 {
				t.Errorf("the next key frame: %v, %d frames, want 1", err, frames)
			}
		})
	}
}

func TestFrameAboveTheLimitIsDropped(t *testing.T) {
	a := NewAssembler(1, func(f Frame) { t.Errorf("got a frame of %d bytes", len(f.Bytes)) })
	part := append([]byte{0x10}, testFrame(true, 60_000)...)
	for seq := range uint16(MaxFrame/60_000 + 5) {
		if err := a.Push(seq, 1, false, part); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.Counters().Oversized; got != 1 || cap(a.frame) > 2*MaxFrame {
		t.Errorf("Oversized = %d, memory %d bytes, want 1 and at most %d", got, cap(a.frame), 2*MaxFrame)
	}
}

func TestPushAllocatesNothingOnceItRuns(t *testing.T) {
	packets, _ := testPackets(1)
	a := NewAssembler(4, func(Frame) {})
	seq := uint16(0)
	if n := testing.AllocsPerRun(1000, func() {
		for _, i := range []int{0, 2, 1} {
			p := packets[i]
			_ = a.Push(seq+uint16(i), p.ts, p.marker, p.data)
		}
		seq += 3
	}); n != 0 {
		t.Errorf("%v allocations for a frame, want 0", n)
	}
}

// A frame that pion's payloader made comes back, with and without PictureID.
func TestFramesOfPionsPayloaderComeBack(t *testing.T) {
	for _, withID := range []bool{false, true} {
		pion := codecs.VP8Payloader{EnablePictureID: withID}
		var got []byte
		a := NewAssembler(1, func(f Frame) { got = bytes.Clone(f.Bytes) })
		frame := testFrame(true, 5000)
		parts := pion.Payload(1200, frame)
		for i, b := range parts {
			if err := a.Push(uint16(i), 0, i == len(parts)-1, b); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, frame) {
			t.Errorf("PictureID %v: %d bytes back, want %d", withID, len(got), len(frame))
		}
	}
}
