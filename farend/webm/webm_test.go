// What the tests share: a clip of real frames, a library, a source that feeds a recorder.

package webm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		recordUntilKilled(dir, os.Getenv(childClip))
	}
	os.Exit(m.Run())
}

// clipRate is that of makeClip's clip, 1/s.
const clipRate = 30

// makeClip has ffmpeg encode its test source: 60 frames of 320x240, a key frame every 20.
func makeClip(t testing.TB) (path string) {
	t.Helper()
	need.Tools(t, "ffmpeg", "ffprobe")
	path = filepath.Join(t.TempDir(), "clip.ivf")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=30", "-t", "2",
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-b:v", "300k",
		"-g", "20", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// readClip gives the frames of an IVF file: 32 bytes, then each frame behind its size and time.
func readClip(path string) (frames [][]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for b = b[32:]; len(b) > 12; {
		n := 12 + int(b[0]) + int(b[1])<<8 + int(b[2])<<16
		frames = append(frames, b[12:n])
		b = b[n:]
	}
	return frames, nil
}

// drawn are frames that no decoder sees: three of ten bytes, the first a key frame.
func drawn() [][]byte {
	list := [][]byte{make([]byte, 10), make([]byte, 10), make([]byte, 10)}
	copy(list[0], []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xf0, 0}) // RFC 6386 section 9.1: shown, 320x240
	list[1][0], list[2][0] = 0x11, 0x11
	return list
}

// A source feeds frames of a clip, again and again, by a clock of its own.
type source struct {
	clip      [][]byte
	sink      stream.Sink
	sent      int
	timestamp uint32
	at        time.Time
	width     int
}

func newSource(clip [][]byte, sink stream.Sink) *source {
	return &source{clip: clip, sink: sink, timestamp: 0xfffff000, width: 320,
		at: time.Date(2026, 11, 28, 19, 30, 0, 123e6, time.UTC)}
}

// next gives the next frame, and moves the clock.
func (s *source) next() stream.Frame {
	b := s.clip[s.sent%len(s.clip)]
	f := stream.Frame{Bytes: b, Timestamp: s.timestamp, Key: b[0]&1 == 0, Width: s.width, Height: 240, At: s.at}
	s.sent++
	s.timestamp += ticksPerSecond / clipRate
	s.at = s.at.Add(time.Second / clipRate)
	return f
}

// wait moves the clock alone, by milliseconds.
func (s *source) wait(d time.Duration) {
	s.timestamp += uint32(d * ticksPerMilli / time.Millisecond)
	s.at = s.at.Add(d)
}

func (s *source) feed(frames int) {
	for range frames {
		s.sink.TakeFrame(s.next())
	}
}

func openLibrary(t testing.TB, c Config) *Library {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLibrary(t testing.TB, l *Library) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// await waits for what is to become true.
func await(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute not: %s", what)
		}
	}
}

// awaitWritten waits until so many frames are in files.
func awaitWritten(t testing.TB, r *Recorder, frames uint64) {
	t.Helper()
	await(t, strconv.FormatUint(frames, 10)+" frames in files", func() bool {
		recorded, _ := r.Counts()
		return recorded >= frames
	})
}

func yard() Source { return Source{Customer: 7, ID: wire.TextID("Hof 1"), Name: "yard"} }

// pathsOf are a source's files, oldest first.
func pathsOf(l *Library, s Source) (paths []string) {
	for _, r := range l.List(s.Customer, s.ID) {
		paths = append(paths, filepath.Join(l.customerPath(s.Customer), folderOf(s.ID), r.Name))
	}
	return paths
}

// probed is what ffprobe reads.
type probed struct {
	duration float64
	times    []float64
	keys     []bool
}

func probe(t *testing.T, path string) (p probed) {
	t.Helper()
	need.Tools(t, "ffprobe")
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries",
		"packet=pts_time,flags:format=duration", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", path, err, out)
	}
	for line := range strings.Lines(string(out)) {
		at, flags, isPacket := strings.Cut(strings.TrimSpace(line), ",")
		v, err := strconv.ParseFloat(at, 64)
		switch {
		case strings.Contains(line, "File ended prematurely"): // by a kill
		case err != nil:
			t.Fatalf("%s: ffprobe says %q", path, line)
		case isPacket:
			p.times, p.keys = append(p.times, v), append(p.keys, strings.HasPrefix(flags, "K"))
		default:
			p.duration = v
		}
	}
	return p
}

// sums are the hashes of a file's frames, undecoded, by ffmpeg.
func sums(t *testing.T, path string) (list []string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:]))
		}
	}
	return list
}

// repeated says whether got is a clip again and again, from its frame first on.
func repeated(got, clip []string, first int) bool {
	for i := range got {
		if got[i] != clip[(first+i)%len(clip)] {
			return false
		}
	}
	return len(got) > 0 && slices.Contains(clip, got[0])
}
