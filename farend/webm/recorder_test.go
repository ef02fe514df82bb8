package webm

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

func TestRecordingHasAllFramesTheirTimesAndItsLength(t *testing.T) {
	clip := makeClip(t)
	frames, err := readClip(clip)
	if err != nil {
		t.Fatal(err)
	}
	l := openLibrary(t, Config{App: "krazycam test"})
	r := l.Record(yard())
	s := newSource(frames, r)
	s.feed(150)
	awaitWritten(t, r, 150)
	open := pathsOf(l, yard())
	if record, problem := r.Report(); len(open) != 1 || record != open[0] || problem != "" {
		t.Fatalf("files %q, Report = %q, %q", open, record, problem)
	}
	check := func(when string) {
		p := probe(t, open[0])
		if len(p.times) != 150 || math.Abs(p.duration-5) > 1./clipRate {
			t.Errorf("%s ffprobe reads %d frames and %v s, want 150 and 5", when, len(p.times), p.duration)
		}
		for i, at := range p.times {
			if math.Abs(at-float64(i)/clipRate) > 0.001 || p.keys[i] != (i%20 == 0) {
				t.Fatalf("%s frame %d at %v s, key %v", when, i, at, p.keys[i])
			}
		}
		if got := sums(t, open[0]); len(got) != 150 || !repeated(got, sums(t, clip), 0) {
			t.Errorf("%s ffmpeg reads %d frames, or others than were given", when, len(got))
		}
		t.Logf("FIGURE WebM, %s: ffprobe reads %d frames and %v s of 150 and 5", when, len(p.times), p.duration)
	}
	check("while it is written")
	list := l.List(7, yard().ID)
	if len(list) != 1 || !list[0].Active || list[0].Duration.Round(100*time.Millisecond) != 5*time.Second {
		t.Errorf("List = %+v", list)
	}
	closeLibrary(t, l)
	check("ended")
	want := Recording{Name: "20261128-193000.123.webm", Start: time.Date(2026, 11, 28, 19, 30, 0, 123e6, time.UTC),
		Duration: list[0].Duration, Bytes: list[0].Bytes, Width: 320, Height: 240}
	if list = l.List(7, yard().ID); len(list) != 1 || list[0] != want {
		t.Errorf("List = %+v, want %+v", list, want)
	}
	if rel, _ := filepath.Rel(l.config.Dir, open[0]); filepath.ToSlash(rel) != "7/=_48of_201/20261128-193000.123.webm" {
		t.Errorf("the file is %s", rel)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]os.FileMode{
		open[0]: 0o600, filepath.Dir(open[0]): 0o700 | os.ModeDir, l.customerPath(7): 0o700 | os.ModeDir,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// timesOf gives the times of each file's frames, in ms.
func timesOf(t *testing.T, l *Library) (files [][]int) {
	t.Helper()
	for _, path := range pathsOf(l, yard()) {
		var ms []int
		for _, at := range probe(t, path).times {
			ms = append(ms, int(math.Round(at*1000)))
		}
		files = append(files, ms)
	}
	return files
}

func TestFilesBeginAndEndWhereTheyShould(t *testing.T) {
	key := func(s *source) { // the next frame is a key frame
		s.sent = (s.sent + 2) / 3 * 3
	}
	for _, c := range []struct {
		name  string
		steps func(s *source)
		want  [][]int
	}{
		{"frames before the first key frame are left out", func(s *source) {
			s.sent = 1
			s.feed(5)
		}, [][]int{{0, 33, 67}}},
		{"what is damaged is left out up to the next key frame", func(s *source) {
			s.feed(2)
			f := s.next()
			f.Damaged = true
			s.sink.TakeFrame(f)
			s.sent++ // no key frame
			s.feed(2)
			key(s)
			s.feed(1)
		}, [][]int{{0, 33, 167}}},
		{"lost frames are gaps", func(s *source) {
			s.feed(2)
			s.wait(time.Second)
			s.feed(1)
		}, [][]int{{0, 33, 1067}}},
		{"a silence of hours, over wraps of the time stamp", func(s *source) {
			s.feed(2)
			s.wait(20 * time.Minute)
			s.feed(1)
		}, [][]int{{0, 33, 1200067}}},
		{"after a restart the clock counts", func(s *source) {
			s.feed(3)
			s.sink.Restart()
			s.timestamp = 12345
			s.wait(2 * time.Second)
			s.feed(2)
		}, [][]int{{0, 33, 67, 2100, 2133}}},
		{"a time stamp that jumps counts as a restart", func(s *source) {
			s.feed(3)
			s.timestamp += 1 << 30
			s.feed(2)
		}, [][]int{{0, 33, 67, 100, 133}}},
		{"time does not go back", func(s *source) {
			s.feed(3)
			s.timestamp -= 30000
			s.at = s.at.Add(-time.Hour)
			s.feed(3)
		}, [][]int{{0, 33, 67, 68, 101, 134}}},
		{"another size is another file", func(s *source) {
			s.feed(3)
			s.width = 640
			s.feed(3)
			s.feed(3)
		}, [][]int{{0, 33, 67}, {0, 33, 67, 100, 133, 167}}},
		{"a file that is long enough ends with the next key frame", func(s *source) {
			s.feed(3)
			s.wait(time.Hour)
			s.feed(3)
			s.feed(3)
		}, [][]int{{0, 33, 67}, {0, 33, 67, 100, 133, 167}}},
		{"a file that is long enough waits for a key frame", func(s *source) {
			s.feed(2)
			s.wait(time.Hour)
			s.feed(1)
			s.feed(2)
		}, [][]int{{0, 33, 3600067}, {0, 33}}},
	} {
		l := openLibrary(t, Config{Log: testLog(t)})
		r := l.Record(yard())
		c.steps(newSource(drawn(), r))
		r.TakePacket(nil, time.Time{})
		r.Close()
		r.Close()
		r.TakeFrame(stream.Frame{Bytes: []byte{0}, Key: true})
		closeLibrary(t, l)
		if got := timesOf(t, l); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A file that is due asks for a key frame, and does not wait for ever.
func TestLargeFileEndsWithoutAKeyFrame(t *testing.T) {
	l := openLibrary(t, Config{FileBytes: 100_000})
	asked := make(chan struct{}, 100)
	s := yard()
	s.RequestKeyFrame = func() { asked <- struct{}{} }
	r := l.Record(s)
	feed := newSource([][]byte{append([]byte{0x11}, make([]byte, 999)...)}, r)
	first := feed.next()
	first.Key = true
	r.TakeFrame(first)
	for range 300 {
		r.TakeFrame(feed.next())
	}
	closeLibrary(t, l)
	list := l.List(7, s.ID)
	if len(list) != 1 || list[0].Bytes < 200_000 || list[0].Bytes > 203_000 || len(asked) != 1 {
		t.Errorf("%+v after %d requests, want one of twice the limit, and a request in 2 s", list, len(asked))
	}
}

func TestTwoStreamsOfATimeGetTwoFiles(t *testing.T) {
	l := openLibrary(t, Config{})
	for range 3 {
		r := l.Record(yard())
		newSource(drawn(), r).feed(3)
		awaitWritten(t, r, 3)
	}
	closeLibrary(t, l)
	var names []string
	for _, r := range l.List(7, yard().ID) {
		names = append(names, r.Name)
	}
	want := []string{"20261128-193000.123.webm", "20261128-193000.124.webm", "20261128-193000.125.webm"}
	if !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	if r := l.Record(yard()); r == nil {
		t.Error("no recorder after the end")
	} else {
		r.TakeFrame(newSource(drawn(), r).next())
	}
}

// The frames that a recorder has seen cost it nothing more.
func TestTakeFrameAllocatesNothing(t *testing.T) {
	l := openLibrary(t, Config{})
	r := l.Record(yard())
	s := newSource(drawn(), r)
	s.feed(3)
	awaitWritten(t, r, 3)
	written := uint64(3)
	allocations := testing.AllocsPerRun(300, func() {
		r.TakeFrame(s.next())
		written++
		for recorded, _ := r.Counts(); recorded < written; recorded, _ = r.Counts() {
			runtime.Gosched()
		}
	})
	closeLibrary(t, l)
	// A key frame is a cue: its bytes are made for each.
	if allocations > 1 {
		t.Errorf("%v allocations a frame, written ones included; want at most 1", allocations)
	}
	t.Logf("FIGURE WebM: %v allocations a frame, until it is in the file", allocations)
}

// BenchmarkRecordedFrame is a frame of 300 kbit/s at 30 fps, from the socket's goroutine into the file.
func BenchmarkRecordedFrame(b *testing.B) {
	l := openLibrary(b, Config{FreeBytes: -1, FreeShare: -1, FileBytes: 64 << 20, Defaults: Limits{Bytes: 256 << 20}})
	defer closeLibrary(b, l)
	r := l.Record(yard())
	clip := drawn()
	for i := range clip {
		clip[i] = append(clip[i], make([]byte, 1250-10)...)
	}
	s := newSource(clip, r)
	written := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		r.TakeFrame(s.next())
		written++
		for recorded, _ := r.Counts(); recorded < written; recorded, _ = r.Counts() {
			runtime.Gosched()
		}
	}
}
