// A clip of VP8, and a source that sends it into a sink as a receiver would.

package forward

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/forward/packet"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

const (
	clipFrames = 40
	clipFPS    = 30
)

// film is what ffmpeg made, once for all tests; its folder is removed at the end.
var film = sync.OnceValues(func() (path string, err error) {
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30",
		"-frames:v", strconv.Itoa(clipFrames), "-c:v", "libvpx", "-lag-in-frames", "0", "-b:v", "600k",
		filepath.Join(folder, "clip.ivf")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ffmpeg: %w\n%s", err, out)
	}
	return filepath.Join(folder, "clip.ivf"), nil
})

var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "krazycam-forward-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// clip gives a film and its frames, of which the first is a key frame.
func clip(t *testing.T) (path string, frames [][]byte) {
	t.Helper()
	need.Tools(t, "ffmpeg")
	path, err := film()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[32:]; len(b) > 12; { // IVF: a header of 32 bytes, then size and time before each frame
		n := int(binary.LittleEndian.Uint32(b))
		frames = append(frames, b[12:12+n])
		b = b[12+n:]
	}
	if len(frames) != clipFrames {
		t.Fatalf("the clip has %d frames, want %d", len(frames), clipFrames)
	}
	return path, frames
}

// A source sends frames into sinks. Its packets have all that a header can have.
type source struct {
	sinks      []stream.Sink
	packetizer *rtpvp8.Packetizer
	ssrc       uint32
	sequence   uint16
	stamp      uint32
	sent       int
}

func newSource(sinks ...stream.Sink) *source {
	return &source{
		sinks: sinks, packetizer: rtpvp8.NewPacketizer(1200, uint16(rand.Uint32())),
		ssrc: rand.Uint32(), sequence: 65530, stamp: 0xffffff00, // both wrap soon
	}
}

// send sends a frame that was captured at a time.
func (s *source) send(frame []byte, captured time.Time) {
	payload := make([]byte, 1200)
	s.packetizer.Start(frame)
	for {
		n, last := s.packetizer.Next(payload)
		if n == 0 {
			break
		}
		packet := s.packet(payload[:n], last)
		for _, sink := range s.sinks {
			sink.TakePacket(packet, time.Now())
		}
		s.sent++
		if last {
			break
		}
	}
	for _, sink := range s.sinks {
		sink.TakeFrame(stream.Frame{
			Bytes: frame, Timestamp: s.stamp, Key: frame[0]&1 == 0, At: time.Now(), CapturedAt: captured,
		})
	}
	s.stamp += packet.ClockRate / clipFPS
}

// packet is one with a contributing source, a header extension and padding.
func (s *source) packet(payload []byte, marker bool) []byte {
	second := byte(101)
	if marker {
		second |= 0x80
	}
	b := []byte{0x80 | 0x20 | 0x10 | 1, second}
	b = binary.BigEndian.AppendUint16(b, s.sequence)
	b = binary.BigEndian.AppendUint32(b, s.stamp)
	b = binary.BigEndian.AppendUint32(b, s.ssrc)
	b = append(b, 1, 2, 3, 4)                         // contributing source
	b = append(b, 0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0) // RFC 8285
	b = append(b, payload...)
	s.sequence++
	return append(b, 0, 0, 3)
}

// play sends frames at the clip's pace, or until something holds.
func (s *source) play(frames [][]byte, until func() bool) {
	tick := time.NewTicker(time.Second / clipFPS)
	defer tick.Stop()
	for _, f := range frames {
		s.send(f, time.Now())
		<-tick.C
		if until() {
			return
		}
	}
}

func never() bool { return false }

// restart begins anew as another source.
func (s *source) restart() {
	for _, sink := range s.sinks {
		sink.Restart()
	}
	*s = *newSource(s.sinks...)
}
