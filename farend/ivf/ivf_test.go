package ivf

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// A file as it is read back: walked by its own sizes.
type read struct {
	unit   Timebase
	count  int // of the header
	times  []uint64
	header []byte
}

func readFile(t *testing.T, path string) (r read) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.header = b[:headerSize]
	r.unit = Timebase{Den: binary.LittleEndian.Uint32(b[16:]), Num: binary.LittleEndian.Uint32(b[20:])}
	r.count = int(binary.LittleEndian.Uint32(b[24:]))
	for b = b[headerSize:]; len(b) > 0; {
		r.times = append(r.times, binary.LittleEndian.Uint64(b[4:]))
		b = b[12+binary.LittleEndian.Uint32(b):]
	}
	return r
}

func create(t *testing.T) *Writer {
	t.Helper()
	w, err := Create(filepath.Join(t.TempDir(), "x.ivf"), 320, 240, Timebase{1, 90000})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// writeAt writes a small frame at each time, in seconds.
func writeAt(t *testing.T, w *Writer, times []float64) {
	t.Helper()
	for _, at := range times {
		if err := w.WriteFrame([]byte{0x11, 2, 3}, uint64(at*90000)); err != nil {
			t.Fatal(err)
		}
	}
}

// every gives times a frame interval apart, with jitter and losses as a seeded chance has them.
func every(interval, length, jitter, loss float64) (times []float64) {
	random := rand.New(rand.NewPCG(1, 2))
	for at := 0.0; at < length; at += interval {
		if random.Float64() >= loss || at == 0 {
			times = append(times, max(0, at+jitter*(2*random.Float64()-1)))
		}
	}
	return times
}

func TestFileIsWholeAtAnyTimeAndForItsOwnerAlone(t *testing.T) {
	w := create(t)
	for i := range 3 {
		writeAt(t, w, []float64{float64(i)})
		if r := readFile(t, w.Name()); r.count != i+1 || len(r.times) != i+1 { // as after a crash
			t.Errorf("after frame %d the header counts %d frames, the file has %d", i, r.count, len(r.times))
		}
	}
	info, err := os.Stat(w.Name())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := Create(w.Name(), 1, 1, Timebase{1, 30}); err == nil {
		t.Error("Create replaced a file")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	const want = "DKIF\x00\x00\x20\x00VP80\x40\x01\xf0\x00"
	if r := readFile(t, w.Name()); string(r.header[:16]) != want {
		t.Errorf("header % x", r.header)
	}
}

func TestHeaderHasFramesAndDuration(t *testing.T) {
	for _, c := range []struct {
		name     string
		times    []float64
		unit     Timebase // {} any
		duration float64  // frames x unit
		shift    float64  // at most, of any frame
	}{
		{"30 a second", every(1./30, 10, 0, 0), Timebase{1, 30}, 10, 0.001},
		{"25 a second", every(1./25, 10, 0, 0), Timebase{1, 25}, 10, 0.001},
		{"a camera's jitter", every(1./30, 20, 0.008, 0), Timebase{}, 20, 0.035},
		{"12.5 a second", every(1./12.5, 10, 0, 0), Timebase{2, 25}, 10, 0.001},
		{"29.97 a second", every(1001./30000, 60, 0, 0), Timebase{100, 2997}, 60, 0.005},
		{"one of ten lost", every(1./30, 20, 0, 0.1), Timebase{}, 20, shiftMax},
		{"a pause of 2 s", append(every(1./30, 10, 0, 0), shifted(every(1./30, 10, 0, 0), 12)...),
			Timebase{}, 22, shiftMax},
		{"a pause of 10 s", append(every(1./30, 10, 0, 0), shifted(every(1./30, 10, 0, 0), 20)...),
			Timebase{1, 90000}, 600. / 90000, 0.001},
		{"a busy board: 30 a second, then 20", append(every(1./30, 6, 0, 0), shifted(every(1./20, 6, 0, 0), 6)...),
			Timebase{}, 12, 1.5},
		{"dusk: 30 a second, then 5", append(every(1./30, 30, 0, 0), shifted(every(1./5, 30, 0, 0), 30)...),
			Timebase{1, 90000}, 1050. / 90000, 0.001},
		{"one frame", []float64{0}, Timebase{1, 90000}, 1. / 90000, 0},
		{"all at once", make([]float64, 5), Timebase{1, 90000}, 5. / 90000, 0},
		{"none", nil, Timebase{1, 90000}, 0, 0},
	} {
		w := create(t)
		writeAt(t, w, c.times)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r := readFile(t, w.Name())
		second := float64(r.unit.Den) / float64(r.unit.Num)
		if got := float64(r.count) / second; r.count != len(c.times) || len(r.times) != r.count ||
			math.Abs(got-c.duration) > 0.01*c.duration || c.unit != (Timebase{}) && r.unit != c.unit {
			t.Errorf("%s: %d frames of %+v are %.4f s, the file has %d; want %+v and %.4f s",
				c.name, r.count, r.unit, got, len(r.times), c.unit, c.duration)
		}
		for i, at := range r.times {
			if shift := math.Abs(float64(at)/second - c.times[i]); shift > c.shift {
				t.Errorf("%s: frame %d at %.3f s, want %.3f", c.name, i, float64(at)/second, c.times[i])
				break
			}
			if i > 0 && at < r.times[i-1] {
				t.Errorf("%s: frame %d goes back in time", c.name, i)
			}
		}
	}
}

func shifted(times []float64, by float64) []float64 {
	for i := range times {
		times[i] += by
	}
	return times
}

// ffprobe is a reader that is not ours.
func TestFFprobeReadsFramesAndDuration(t *testing.T) {
	need.Tools(t, "ffmpeg", "ffprobe")
	folder := t.TempDir()
	clip := filepath.Join(folder, "clip.ivf")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=30", "-t", "4",
		"-c:v", "libvpx", "-lag-in-frames", "0", clip).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(clip)
	if err != nil {
		t.Fatal(err)
	}
	w := create(t)
	for i := 0; len(b) > headerSize; i++ {
		n := 12 + binary.LittleEndian.Uint32(b[headerSize:])
		if err := w.WriteFrame(b[headerSize+12:headerSize+n], uint64(i*3000+i%2*200)); err != nil { // 2 ms of jitter
			t.Fatal(err)
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries",
		"stream=nb_read_frames:format=duration", w.Name()).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	if len(got) != 2 || got[0] != "120" {
		t.Fatalf("ffprobe reads %q, want 120 frames", out)
	}
	if d, err := strconv.ParseFloat(got[1], 64); err != nil || math.Abs(d-4) > 0.05 {
		t.Errorf("ffprobe reads %v s, %v, want 4", d, err)
	}
	t.Logf("FIGURE ffprobe reads %s frames and %s s of a recording of 120 frames and 4 s", got[0], got[1])
}

// A noting file notes what changes it, in order.
type noting struct {
	file
	notes []string
}

func (n *noting) WriteAt(b []byte, at int64) (int, error) {
	switch at {
	case timebasePosition:
		n.notes = append(n.notes, "timebase")
	case countPosition:
	default:
		n.notes = append(n.notes, "time")
	}
	return n.file.WriteAt(b, at)
}

func (n *noting) Sync() error {
	n.notes = append(n.notes, "sync")
	return n.file.Sync()
}

// A power cut at any point of Close leaves times of the new unit in the old, which are small, and not
// the other way round.
func TestNewUnitIsWrittenOnceAllTimesAreOnTheDisk(t *testing.T) {
	w := create(t)
	writeAt(t, w, every(1./30, 0.1, 0, 0))
	n := &noting{file: w.file}
	w.file = n
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(n.notes, " "); got != "time time time sync timebase" {
		t.Errorf("Close wrote %q, want the times, a sync, and the timebase", got)
	}
}
