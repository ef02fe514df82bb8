// Recordings of a process that is killed.

package webm

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// With these variables the test program records until it is killed.
const (
	childDir  = "KRAZYCAM_TEST_WEBM_DIR"
	childClip = "KRAZYCAM_TEST_WEBM_CLIP"
)

// recordUntilKilled says how many frames it has given, after each.
func recordUntilKilled(dir, clip string) {
	frames, err := readClip(clip)
	if err != nil {
		panic(err)
	}
	l, err := Open(Config{Dir: dir, FileBytes: 300_000})
	if err != nil {
		panic(err)
	}
	s := newSource(frames, l.Record(yard()))
	for {
		s.feed(1)
		fmt.Println(s.sent)
		time.Sleep(2 * time.Millisecond)
	}
}

// killChild has a process record for a while, kills it, and says how many frames it had given.
func killChild(t *testing.T, dir, clip string, after time.Duration) (given int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childClip+"="+clip)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			given = n
		}
		if given == 1 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") || given == 0 {
		t.Fatalf("the child ended with %v after %d frames", err, given)
	}
	return given
}

func TestKillLeavesWholeRecordings(t *testing.T) {
	times := 2
	if os.Getenv("KRAZYCAM_LONG") != "" {
		times = 20
	}
	clip := makeClip(t)
	want := sums(t, clip)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for range times {
		dir, after := t.TempDir(), time.Duration(random.IntN(1500))*time.Millisecond
		given := killChild(t, dir, clip, after)
		l := openLibrary(t, Config{Dir: dir}) // the lock is free again
		list, found := l.List(7, yard().ID), 0
		for i, path := range pathsOf(l, yard()) {
			p := probe(t, path)
			n := len(p.times)
			if math.Abs(p.duration*clipRate-float64(n)) > 1.1 ||
				math.Abs(list[i].Duration.Seconds()-p.duration) > 0.001 {
				t.Errorf("killed after %v: file %d has %d frames, ffprobe reads %v s, List says %v", after, i, n,
					p.duration, list[i].Duration)
			}
			if !repeated(sums(t, path), want, found) {
				t.Errorf("killed after %v: file %d has other frames than were given", after, i)
			}
			found += n
		}
		closeLibrary(t, l)
		// The goroutine that writes may not have had its turn since the last few.
		if found > given+1 || found < given-30 {
			t.Errorf("killed after %v: %d frames were given, %d are in %d files", after, given, found, len(list))
		}
		t.Logf("FIGURE WebM, kill -9 after %v: %d frames of %d given, in %d files", after, found, given, len(list))
	}
}
