package matroska

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// A noting file notes what is written to it, in order.
type noting struct {
	writes []write
	room   int // bytes that fit; 0: any number
	size   int64
}

type write struct {
	bytes []byte
	at    int64
}

func (n *noting) WriteAt(b []byte, at int64) (int, error) {
	if n.room > 0 && at+int64(len(b)) > int64(n.room) {
		return 0, fmt.Errorf("no room at %d", at)
	}
	n.writes = append(n.writes, write{bytes.Clone(b), at})
	return len(b), nil
}

func (n *noting) Truncate(size int64) error { n.size = size; return nil }
func (n *noting) Close() error              { return nil }

// after gives the file after the first writes.
func after(writes []write) (b []byte) {
	for _, w := range writes {
		if end := int(w.at) + len(w.bytes); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[w.at:], w.bytes)
	}
	return b
}

func header() Header {
	return Header{Title: "yard", App: "krazycam test", Width: 320, Height: 240,
		Start: time.Date(2026, 11, 28, 19, 30, 0, 123e6, time.UTC)}
}

// frame i of a clip that nobody decodes.
func frame(i int) []byte {
	b := make([]byte, 1+i*7%9000)
	for k := range b {
		b[k] = byte(i + k)
	}
	return b
}

// writeClip writes frames 33 ms apart, every so many a key frame.
func writeClip(t *testing.T, f File, frames, keyEvery int) *Writer {
	t.Helper()
	w, err := Create(f, header())
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		block := append(make([]byte, BlockRoom), frame(i)...)
		if err := w.WriteFrame(block, int64(i)*33, i%keyEvery == 0); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteDuration(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// checkWhole compares what is read with the first frames of the clip.
func checkWhole(b []byte, keyEvery int) (frames int, err error) {
	c, err := readAll(b)
	if err != nil {
		return 0, err
	}
	for i, f := range c.frames {
		if f.at != int64(i)*33 || f.key != (i%keyEvery == 0) || !bytes.Equal(f.bytes, frame(i)) {
			return 0, fmt.Errorf("frame %d is another: at %d, key %v, %d bytes", i, f.at, f.key, len(f.bytes))
		}
	}
	n := len(c.frames)
	if d := c.duration.Milliseconds(); d > int64(n)*33 || d < int64(n-1)*33 {
		return 0, fmt.Errorf("duration %d ms of %d frames", d, n)
	}
	for _, cue := range c.cues {
		if at, ok := c.clusters[cue.position]; !ok || at != cue.time || at%33 != 0 || at/33%int64(keyEvery) != 0 {
			return 0, fmt.Errorf("cue %+v: there is cluster %v, %v", cue, at, ok)
		}
	}
	return n, nil
}

// A kill ends a write between two pages at worst, and all before it is there.
func TestFileIsWholeAfterAKillAtAnyWrite(t *testing.T) {
	n := &noting{}
	w := writeClip(t, n, 400, 12)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const page = 4096
	checked, frames := 0, 0
	var done []byte
	for i, w := range n.writes {
		for cut := page - int(w.at)%page; cut < len(w.bytes); cut += page {
			part := after([]write{{done, 0}, {w.bytes[:cut], w.at}})
			if i == 0 {
				continue // the head: without a frame, nothing is lost
			}
			if got, err := checkWhole(part, 12); err != nil || got < frames {
				t.Fatalf("after %d bytes of write %d: %d frames, before %d, %v", cut, i, got, frames, err)
			}
			checked++
		}
		done = after([]write{{done, 0}, w})
		got, err := checkWhole(done, 12)
		if err != nil || got < frames {
			t.Fatalf("after write %d of %d bytes at %d: %d frames, before %d, %v", i, len(w.bytes), w.at, got, frames,
				err)
		}
		frames = got
		checked++
	}
	if frames != 400 {
		t.Errorf("%d frames at the end, want 400", frames)
	}
	c, err := readAll(done)
	if err != nil || c.unknown != 0 || c.segmentSize != uint64(len(done)-segmentData) || len(c.cues) != 34 {
		t.Errorf("closed: %d clusters of unknown size, segment %d of %d, %d cues, %v", c.unknown, c.segmentSize,
			len(done)-segmentData, len(c.cues), err)
	}
	t.Logf("FIGURE WebM: whole after a kill at each of %d points of a file of 400 frames", checked)
}

func TestSeeksAreFoundHoweverLongAFileGrows(t *testing.T) {
	n := &noting{}
	w, err := Create(n, header())
	if err != nil {
		t.Fatal(err)
	}
	const keys = 5000
	for i := range keys {
		block := append(make([]byte, BlockRoom), byte(i), byte(i>>8))
		if err := w.WriteFrame(block, int64(i)*4000+int64(i%7)*13, true); err != nil {
			t.Fatal(err)
		}
		if i%100 != 99 && len(w.cues.list) != cueSlots {
			continue
		}
		n.writes = []write{{after(n.writes), 0}}
		c, err := readAll(n.writes[0].bytes)
		if err != nil || len(c.frames) != i+1 || len(c.cues) > cueSlots {
			t.Fatalf("key frame %d: %d frames, %d cues, %v", i, len(c.frames), len(c.cues), err)
		}
		last := int64(i) * 4000
		for k, cue := range c.cues {
			if at, ok := c.clusters[cue.position]; !ok || at != cue.time {
				t.Fatalf("key frame %d: cue %d %+v, cluster %d %v", i, k, cue, at, ok)
			}
			if gap := cue.time - c.cues[max(k-1, 0)].time; gap < 0 || gap > max(8200, last/200) {
				t.Fatalf("key frame %d: %d ms between two cues of %d", i, gap, len(c.cues))
			}
		}
		if gap := last - c.cues[len(c.cues)-1].time; gap > max(8200, last/200) {
			t.Fatalf("key frame %d: no cue for the last %d ms", i, gap)
		}
	}
}

// A kill while every other cue is given up.
func TestThinningKeepsCuesRightAtAnyWrite(t *testing.T) {
	n := &noting{}
	w, err := Create(n, header())
	if err != nil {
		t.Fatal(err)
	}
	for i := range cueSlots + 1 {
		if i == cueSlots {
			n.writes = []write{{after(n.writes), 0}}
		}
		if err := w.WriteFrame(append(make([]byte, BlockRoom), 1), int64(i)*4000, true); err != nil {
			t.Fatal(err)
		}
	}
	done, cuts := n.writes[0].bytes, 0
	for _, w := range n.writes[1:] {
		for cut := 4096 - int(w.at)%4096; ; cut += 4096 {
			cut = min(cut, len(w.bytes))
			c, err := readAll(after([]write{{done, 0}, {w.bytes[:cut], w.at}}))
			if err != nil {
				t.Fatal(err)
			}
			for _, cue := range c.cues {
				if at, ok := c.clusters[cue.position]; !ok || at != cue.time {
					t.Fatalf("cue %+v: cluster %d %v", cue, at, ok)
				}
			}
			if cuts++; cut == len(w.bytes) {
				break
			}
		}
		done = after([]write{{done, 0}, w})
	}
	if c, err := readAll(done); err != nil || len(c.cues) != cueSlots/2+1 {
		t.Errorf("%d cues, %v, want half", len(c.cues), err)
	}
	if cuts < 6 {
		t.Errorf("%d points were looked at, want those within the table", cuts)
	}
}

func TestFullDiskLeavesAWholeFile(t *testing.T) {
	for room := headEnd + 100; room < headEnd+60000; room += 1777 {
		n := &noting{room: room}
		w, err := Create(n, header())
		if err != nil {
			t.Fatal(err)
		}
		written := 0
		for ; err == nil; written++ {
			err = w.WriteFrame(append(make([]byte, BlockRoom), frame(written)...), int64(written)*33, written%12 == 0)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := checkWhole(after(n.writes)[:n.size], 12)
		if err != nil || got != written-1 || w.Size() != n.size {
			t.Errorf("room for %d: %d frames of %d, %d bytes of %d, %v", room, got, written-1, n.size, w.Size(), err)
		}
	}
}

func TestLongPausesFitBlocksTimes(t *testing.T) {
	n := &noting{}
	w, err := Create(n, header())
	if err != nil {
		t.Fatal(err)
	}
	times := []int64{0, 40, 4990, 5040, 60000, 60040, 36e5}
	for i, at := range times {
		if err := w.WriteFrame(append(make([]byte, BlockRoom), byte(i)), at, i == 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := readAll(after(n.writes))
	var got []int64
	for _, f := range c.frames {
		got = append(got, f.at)
	}
	if err != nil || !slices.Equal(got, times) || w.Duration() != 3600040*time.Millisecond {
		t.Errorf("times %v, duration %v, %v; want %v and the last frame 40 ms long", got, w.Duration(), err, times)
	}
}

func TestHeadSaysWhatItWasGiven(t *testing.T) {
	n := &noting{}
	h := header()
	h.Title = "Hof\x00\n und\xff Garten " + strings.Repeat("ü", 200)
	h.App = strings.Repeat("a", 200)
	if _, err := Create(n, h); err != nil {
		t.Fatal(err)
	}
	got, err := ReadInfo(bytesAt(after(n.writes)))
	want := Info{Title: ("Hof und Garten " + strings.Repeat("ü", 200))[:199], Start: h.Start, Width: 320, Height: 240}
	if err != nil || got != want {
		t.Errorf("ReadInfo = %+v, %v, want %+v", got, err, want)
	}
	if size := len(after(n.writes)); size != HeadSize {
		t.Errorf("head of %d bytes", size)
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add(appendHead(nil, header())[:1100])
	f.Add([]byte{0x1A, 0x45, 0xDF, 0xA3, 0x80, 0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(appendMaster(nil, idEBML, appendShort(nil, idDocType, []byte("webm")...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := ReadInfo(bytes.NewReader(b))
		if err == nil && (info.Duration < 0 || info.Width < 0 || len(info.Title) > titleMax) {
			t.Errorf("%+v", info)
		}
	})
}

// clip makes real frames, which a decoder takes: IVF of ffmpeg's, cut into frames.
func clip(t *testing.T, seconds int) (path string, frames [][]byte) {
	t.Helper()
	need.Tools(t, "ffmpeg", "ffprobe")
	path = filepath.Join(t.TempDir(), "clip.ivf")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=30", "-t",
		strconv.Itoa(seconds), "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0",
		"-b:v", "300k", "-g", "30", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[32:]; len(b) > 12; {
		n := 12 + int(b[0]) + int(b[1])<<8 + int(b[2])<<16
		frames = append(frames, b[12:n])
		b = b[n:]
	}
	return path, frames
}

// ffmpeg is a reader that is not ours. Half a frame at the end is what a kill leaves.
func TestFFmpegReadsTheSameFrames(t *testing.T) {
	ivf, frames := clip(t, 4)
	path := filepath.Join(t.TempDir(), "x.webm")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(f, header())
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range frames {
		key := b[0]&1 == 0
		if err := w.WriteFrame(append(make([]byte, BlockRoom), b...), (int64(i)*1000+15)/30, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteDuration(); err != nil {
		t.Fatal(err)
	}
	size := w.Size()
	want := sums(t, ivf)
	if got := sums(t, path); !slices.Equal(got, want) {
		t.Errorf("while it is written, ffmpeg reads %d frames, of %d, or others", len(got), len(want))
	}
	half := rand.New(rand.NewPCG(1, 2)).Int64N(int64(len(frames[len(frames)-1])))
	if err := os.Truncate(path, size-1-half); err != nil {
		t.Fatal(err)
	}
	if got := sums(t, path); !slices.Equal(got, want[:len(want)-1]) {
		t.Errorf("with half a frame at the end, ffmpeg reads %d frames, want %d", len(got), len(want)-1)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d := probe(t, path)
	if d < 3.96 || d > 4.04 {
		t.Errorf("ffprobe reads %v s, want 4", d)
	}
}

// sums are the hashes of a file's frames, undecoded.
func sums(t *testing.T, path string) (list []string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-c", "copy", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Split(line, ",")
			list = append(list, strings.TrimSpace(fields[len(fields)-1]))
		}
	}
	return list
}

func probe(t *testing.T, path string) float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "format=duration",
		path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
