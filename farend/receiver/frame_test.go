package receiver

import (
	"encoding/binary"
	"net/netip"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
)

// encodeFrames gives frames of libvpx with so many token partitions.
func encodeFrames(t *testing.T, partitions int) (frames [][]byte) {
	t.Helper()
	need.Tools(t, "ffmpeg")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25", "-frames:v", "30",
		"-c:v", "libvpx", "-slices", strconv.Itoa(partitions), "-auto-alt-ref", "1", "-lag-in-frames", "10",
		"-b:v", "300k", "-g", "12", "-f", "ivf", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for b := out[32:]; len(b) > 12; {
		n := 12 + binary.LittleEndian.Uint32(b)
		frames = append(frames, b[12:n])
		b = b[n:]
	}
	return frames
}

func TestFramesOfARealEncoderAreWholeAndCutOnesAreNot(t *testing.T) {
	for _, partitions := range []int{1, 2, 4, 8} {
		frames := encodeFrames(t, partitions)
		if len(frames) < 30 {
			t.Fatalf("%d frames", len(frames))
		}
		for i, f := range frames {
			if _, err := checkFrame(f); err != nil {
				t.Errorf("%d partitions, frame %d: %v", partitions, i, err)
			}
			tag := int(f[0]) | int(f[1])<<8 | int(f[2])<<16
			first, header := tag>>5, frameTagSize
			if tag&1 == 0 {
				header = keyFrameHeaderSize
			}
			if got, _ := readFrameHeader(f[header:header+first], tag&1 == 0); got != partitions {
				t.Errorf("frame %d has %d partitions, want %d", i, got, partitions)
			}
			if _, err := checkFrame(f[:header+first+(partitions-1)*partitionSizeBytes-1]); err == nil {
				t.Errorf("%d partitions, frame %d: cut in its headers and taken", partitions, i)
			}
		}
	}
}

// arrive passes a frame to the receiver in one packet.
func (b *bench) arrive(frame []byte, ts uint32) {
	b.t.Helper()
	s := &b.playedSender
	s.packetizer.Start(frame)
	b.send(s.packets(ts))
}

// What each kind of stream is called, and what the gateway answers about it.
func TestStateSaysWhetherPicturesCanBeShown(t *testing.T) {
	whole := encodeFrames(t, 4)
	broken := func(f []byte) []byte { // its first partition claims to be larger than the frame
		f = append([]byte(nil), f...)
		f[1], f[2] = 0xff, 0xff
		return f
	}
	cut := func(f []byte) []byte { return f[:min(len(f)-1, 40)] }
	frame := func(i int) []byte { return whole[i%len(whole)] } // a key frame at the start, and then again
	const second = 25
	for _, c := range []struct {
		name  string
		play  func(b *bench, i int, ts uint32)
		state string
		code  int
	}{
		{"whole frames", func(b *bench, i int, ts uint32) { b.arrive(frame(i), ts) }, stream.StateStreaming, 0},
		{"nothing", func(*bench, int, uint32) {}, stream.StateWaiting, 1},
		{"no key frame", func(b *bench, i int, ts uint32) { b.arrive(whole[1+i%10], ts) }, stream.StateNoKeyFrame, 2},
		{"every key frame incomplete", func(b *bench, i int, ts uint32) { b.send(b.frame(true, ts), 1) },
			stream.StateNoKeyFrame, 2},
		{"every frame broken", func(b *bench, i int, ts uint32) { b.arrive(broken(frame(i)), ts) },
			stream.StateDamaged, 3},
		{"every frame cut", func(b *bench, i int, ts uint32) { b.arrive(cut(frame(i)), ts) }, stream.StateDamaged, 3},
		{"no VP8", func(b *bench, i int, ts uint32) { b.send(b.packetsOf(make([]byte, 50), ts)) },
			stream.StateNoKeyFrame, 2},
		{"key frames without start code", func(b *bench, i int, ts uint32) { b.arrive(make([]byte, 50), ts) },
			stream.StateDamaged, 3},
		{"a packet missing of every frame after the first", func(b *bench, i int, ts uint32) {
			if p := b.frame(i == 0, ts); i == 0 {
				b.send(p)
			} else {
				b.send(p, 1)
			}
		}, stream.StateDamaged, 3},
		{"whole frames after one that is lost", func(b *bench, i int, ts uint32) {
			if p := b.frame(i == 0, ts); i == 1 {
				b.send(p, 0, 1, 2)
			} else {
				b.send(p)
			}
		}, stream.StateDamaged, 3},
		{"whole frames after one that is broken", func(b *bench, i int, ts uint32) {
			switch {
			case i == 0:
				b.arrive(whole[0], ts)
			case i == 1:
				b.arrive(broken(whole[1]), ts)
			default:
				b.arrive(whole[1+i%10], ts)
			}
		}, stream.StateDamaged, 3},
		{"whole frames again after a second of damage", func(b *bench, i int, ts uint32) {
			if i > second && i < 2*second {
				b.arrive(broken(frame(i)), ts)
			} else {
				b.arrive(frame(i), ts)
			}
		}, stream.StateStreaming, 0},
		{"silence", func(b *bench, i int, ts uint32) {
			if i < second/2 {
				b.arrive(frame(i), ts)
			}
		}, stream.StateSilent, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			for i := range 4 * second {
				c.play(b, i, uint32(i)*clockRate/second)
				b.wait(time.Second / second)
			}
			s := b.Stats()
			code, words, err := b.Captured(netip.Addr{})
			if s.State != c.state || code != c.code || err != nil || words == "" {
				t.Errorf("%q, Captured = %d, %q, %v, want %q and %d: %+v",
					s.State, code, words, err, c.state, c.code, s)
			}
		})
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0, 1, 2, 3})
	f.Add([]byte{0x31, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := checkFrame(b); err == nil && len(b) < frameTagSize {
			t.Errorf("% x: a frame", b)
		}
	})
}
