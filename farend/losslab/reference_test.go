//go:build linux

package losslab

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// packetsOf cuts n frames of size bytes into packets, 90 ticks of a clock apart.
func packetsOf(n, size int) (out []mediaPacket) {
	p := rtpvp8.NewPacketizer(1000, 32760)
	seq := uint16(65530)
	for i := range n {
		frame := make([]byte, size)
		frame[0] = 1
		if i == 0 {
			copy(frame, "\x10\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01") // a key frame of 640x480
		}
		p.Start(frame)
		for b, last := make([]byte, 1000), false; !last; seq++ {
			var k int
			k, last = p.Next(b)
			m := mediaPacket{at: time.Duration(i)*pictureInterval + time.Duration(len(out))*time.Microsecond,
				payload: append([]byte(nil), b[:k]...)}
			m.header = rtp.Header{
				PayloadType: mediaType, SequenceNumber: seq, Timestamp: uint32(i * 3000), Marker: last,
			}
			out = append(out, m)
		}
	}
	return out
}

func TestAssembleTakesEachFrameOnceWhateverWasSentAgain(t *testing.T) {
	var sent []mediaPacket
	for i, m := range packetsOf(5, 2500) {
		sent = append(sent, m)
		if i >= 3 {
			m = sent[i-3]
			m.repeated = true
		}
		if m.repeated {
			sent = append(sent, m)
		}
	}
	pictures, frames := assembleFrames(sent)
	if len(pictures) != 5 || len(frames) != 5 {
		t.Fatalf("%d pictures of %d frames, want 5", len(pictures), len(frames))
	}
	for i, p := range pictures {
		if p.bytes != 2500 || p.key != (i == 0) || p.at < time.Duration(i)*pictureInterval ||
			p.at > time.Duration(i)*pictureInterval+ms {
			t.Errorf("frame %d: %d bytes, key %v, first packet at %v", i, p.bytes, p.key, p.at)
		}
		if n := len(frames[i]); n != 2500 {
			t.Fatalf("frame %d has %d bytes, want 2500", i, n)
		}
	}
}
