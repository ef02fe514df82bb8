// Real disks that are full, or stand still: file systems of the test's own.

package webm

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// mount mounts a file system until the test ends.
func mount(t *testing.T, args ...string) (dir string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("mounts are Linux's")
	}
	need.Root(t, "for a file system of its own")
	need.Tools(t, "mount", "umount")
	dir = t.TempDir()
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

func TestFullDiskEndsAFileWhole(t *testing.T) {
	clip := makeClip(t)
	frames, err := readClip(clip)
	if err != nil {
		t.Fatal(err)
	}
	dir := mount(t, "-t", "tmpfs", "-o", "size=400k", "none")
	var skipped atomic.Int64
	l := openLibrary(t, Config{Dir: dir, Log: testLog(t), FreeBytes: -1, FreeShare: -1,
		Now: func() time.Time { return time.Now().Add(time.Duration(skipped.Load())) }})
	r := l.Record(yard())
	s := newSource(frames, r)
	problem := ""
	await(t, "the disk is full", func() bool {
		s.feed(10)
		_, problem = r.Report()
		return problem != ""
	})
	if !strings.Contains(problem, "no space left") {
		t.Errorf("problem %q", problem)
	}
	recorded, _ := r.Counts()
	paths := pathsOf(l, yard())
	if len(paths) != 1 {
		t.Fatalf("files %q", paths)
	}
	p := probe(t, paths[0])
	n := float64(len(p.times))
	if math.Abs(n-float64(recorded)) > 1 || math.Abs(p.duration*clipRate-n) > 1.1 ||
		!repeated(sums(t, paths[0]), sums(t, clip), 0) {
		t.Errorf("%v frames and %v s of %d, or others than were given", n, p.duration, recorded)
	}
	t.Logf("FIGURE WebM, full disk: %d frames and %.3f s of %d frames recorded", len(p.times), p.duration, recorded)
	if err := l.Remove(7, yard().ID, filepath.Base(paths[0])); err != nil { // makes room
		t.Fatal(err)
	}
	await(t, "recording goes on", func() bool {
		skipped.Add(int64(retryInterval))
		s.feed(10)
		more, _ := r.Counts()
		return more > recorded
	})
	closeLibrary(t, l)
	if paths = pathsOf(l, yard()); len(paths) == 0 {
		t.Error("nothing was recorded once there was room")
	}
}

// recordersOnStuckDisk is how many streams one disk has to take.
const recordersOnStuckDisk = 20

// A frozen file system has each write wait, as a disk or a network that hangs.
func TestDiskThatStandsStillStopsNoStream(t *testing.T) {
	dir := mountDisk(t)
	l := openLibrary(t, Config{Dir: dir, FreeBytes: -1, FreeShare: -1})
	clip := drawn()
	clip[0] = append(clip[0], make([]byte, 9_990)...)
	clip[1] = append(clip[1], make([]byte, 1_999)...)
	var feeds []*source
	for i := range recordersOnStuckDisk {
		id := wire.TextID(string(rune('a' + i)))
		feeds = append(feeds, newSource(clip, l.Record(Source{Customer: 7, ID: id})))
	}
	feedAll(feeds, 30)
	for _, s := range feeds {
		awaitWritten(t, s.sink.(*Recorder), 30)
	}
	thaw := freeze(t, dir)
	took := feedAll(feeds, 900) // 30 s of frames at once
	for _, s := range feeds {
		recorded, dropped := s.sink.(*Recorder).Counts()
		_, problem := s.sink.(*Recorder).Report()
		if recorded > 31 || dropped == 0 || !strings.Contains(problem, "too slow") {
			t.Errorf("on a disk that stands still %d frames are recorded and %d dropped, problem %q", recorded, dropped,
				problem)
		}
	}
	thaw()
	p99, longest := took[len(took)*99/100], took[len(took)-1]
	t.Logf("FIGURE WebM: TakeFrame of %d streams on a disk that stands still: p99 %v, longest %v", len(feeds), p99,
		longest)
	if p99 > 10*time.Millisecond { // a write would have waited for the thaw
		t.Errorf("99 %% of all calls took up to %v", p99)
	}
	for _, s := range feeds {
		r := s.sink.(*Recorder)
		before, _ := r.Counts()
		await(t, "the disk is caught up with", func() bool {
			s.feed(3)
			after, _ := r.Counts()
			_, problem := r.Report()
			return after > before && problem == ""
		})
	}
	closeLibrary(t, l)
	for _, s := range feeds {
		checkCaughtUp(t, l, s)
	}
}

// feedAll feeds all sources by turns, and says how long each frame took, sorted.
func feedAll(feeds []*source, frames int) (took []time.Duration) {
	for range frames {
		for _, s := range feeds {
			f := s.next()
			began := time.Now()
			s.sink.TakeFrame(f)
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return took
}

// checkCaughtUp expects that each frame is in the file or was counted, and that a key frame follows a gap.
func checkCaughtUp(t *testing.T, l *Library, s *source) {
	t.Helper()
	r := s.sink.(*Recorder)
	recorded, dropped := r.Counts()
	if int(recorded+dropped) != s.sent {
		t.Errorf("%d frames recorded and %d dropped of %d", recorded, dropped, s.sent)
	}
	p := probe(t, pathsOf(l, r.source)[0])
	if len(p.times) != int(recorded) {
		t.Errorf("%d frames in the file, %d were recorded", len(p.times), recorded)
	}
	for i, at := range p.times {
		if i > 0 && at-p.times[i-1] > 0.05 && !p.keys[i] {
			t.Errorf("after a gap, at %v s, a frame follows that is no key frame", at)
		}
	}
}

// mountDisk mounts an ext4 of the test's own.
func mountDisk(t *testing.T) (dir string) {
	t.Helper()
	need.Root(t, "for a file system of its own")
	need.Tools(t, "mkfs.ext4", "fsfreeze")
	image := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return mount(t, "-o", "loop", image)
}

// freeze has all writes to a file system wait for thaw, or for the test's end.
func freeze(t *testing.T, dir string) (thaw func()) {
	t.Helper()
	run := func(how string) {
		t.Helper()
		if out, err := exec.Command("fsfreeze", how, dir).CombinedOutput(); err != nil {
			t.Errorf("fsfreeze %s: %v: %s", how, err, out)
		}
	}
	run("-f")
	thaw = sync.OnceFunc(func() { run("-u") })
	t.Cleanup(thaw)
	return thaw
}
