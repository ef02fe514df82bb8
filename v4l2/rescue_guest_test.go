//go:build vm

// The program itself with a camera that hangs and one that is pulled: what it logs, and that
// it has the rights to mend that after it gave up root. Runs inside the VM that uvc_test.go
// boots; this process does there what init does on a board.

package v4l2

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/usb"
)

// A running camsource and what it has logged.
type running struct {
	t     *testing.T
	lines chan string
	log   []string
}

// await reads the log until a line fits and returns it.
func (r *running) await(pattern string) string {
	r.t.Helper()
	timeout := time.After(40 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("camsource ended before %q; it said:\n%s", pattern, strings.Join(r.log, "\n"))
			}
			r.log = append(r.log, line)
			if regexp.MustCompile(pattern).MatchString(line) {
				return line
			}
		case <-timeout:
			r.t.Fatalf("no %q; camsource said:\n%s", pattern, strings.Join(r.log, "\n"))
		}
	}
}

// count is how many lines hold the words.
func (r *running) count(words string) int {
	return strings.Count(strings.Join(r.log, "\n"), words)
}

// startCamsource runs the program until the test ends.
func startCamsource(t *testing.T, args ...string) *running {
	t.Helper()
	cmd := exec.Command("/camsource", args...)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, lines: make(chan string, 1000)}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("camsource, told to end: %v", err)
		}
	})
	return r
}

// shareCameras does what init does: it gives video nodes and USB devices to the group.
func shareCameras(ctx context.Context) {
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		nodes, _ := filepath.Glob("/dev/video*")
		for _, n := range nodes {
			_ = os.Chown(n, -1, videoGroup) // pulled meanwhile: the next look tells
			_ = os.Chmod(n, 0o660)
		}
		_ = usb.ShareCameras(videoGroup)
	}
}

// raiseLoopback switches lo on, which nobody has done here.
func raiseLoopback(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// A mode that does not work costs a moment, and the next process knows it already.
func TestShareCamsourceTakesTheModeThatWorks(t *testing.T) {
	awaitCamera(t)
	raiseLoopback(t)
	go shareCameras(t.Context())
	t.Setenv("XDG_RUNTIME_DIR", "/tmp")
	if err := os.MkdirAll("/tmp", 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("/tmp", 0o777|os.ModeSticky); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	defer askHost("heal")
	for _, fault := range []string{"hang", "refuse", "half", "empty"} {
		_ = os.Remove("/tmp/camsource-modes.json") // there is none at first
		askHost("fault YUYV " + fault)
		for i := range 2 {
			t.Run(fmt.Sprintf("%s, process %d", fault, i), func(t *testing.T) {
				began := Now()
				r := startCamsource(t, "--camera", "0001", "--size", "320x240", "--fps", "10",
					"--rtp", "127.0.0.1:5004", "--rtcp", "127.0.0.1:5005")
				other := r.await(`msg="camera runs in another mode".*instead of YUYV 320x240, which `)
				r.await("camsource READY")
				if !strings.Contains(other, "MJPG 320x240") || i == 1 && r.count("camera mode does not work") > 0 {
					t.Errorf("%s: the log is\n%s", fault, strings.Join(r.log, "\n"))
				}
				figure(t, "camsource", "YUYV that fails by %s, process %d: READY in MJPG after %v",
					fault, i, Now()-began)
			})
		}
	}
}

func TestShareCamsourceMendsAHangAndTellsEachOutageInTwoLines(t *testing.T) {
	awaitCamera(t)
	raiseLoopback(t)
	go shareCameras(t.Context())
	r := startCamsource(t, "--camera", "0001", "--size", "320x240", "--fps", "10", "--rtp", "127.0.0.1:5004",
		"--rtcp", "127.0.0.1:5005")
	r.await("camsource READY")
	// On a slow host the next rung of the ladder can be due before the camera is up again.
	for i, c := range []struct{ name, fault, heal, tried string }{
		{"hangs until its port is reset", "hang until reset", "", `tried="\[USB reset[ \]]`},
		{"is pulled and plugged in again", "unplug", "plug", `tried=(\[\]|"\[USB reset\]")`},
	} {
		askHost(c.fault)
		lost := r.await(`msg="camera lost"`)
		if c.heal != "" {
			askHost(c.heal)
		}
		back := r.await(`msg="camera back"`)
		if !regexp.MustCompile(c.tried).MatchString(back) || r.count("camera lost") != i+1 {
			t.Errorf("%s: %q, then %q, want %s", c.name, lost, back, c.tried)
		}
		_, after, _ := strings.Cut(back, "after=")
		figure(t, "camsource", "a camera that %s: one line when it was lost, one when it is back, after %s", c.name,
			after)
	}
	t.Log(strings.Join(r.log, "\n"))
}
