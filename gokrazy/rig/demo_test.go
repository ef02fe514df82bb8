// scripts/demo as its reader runs it: until pictures come, then Ctrl-C.

package rig

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// demoLine is what camctl receive prints each second once a stream is there.
var demoLine = regexp.MustCompile(`^streaming +frames [1-9]\d* +fps +[1-9][\d.]* +kbit/s +[1-9]`)

// demoSeconds of streaming are watched, so that the last is not one of the start.
const demoSeconds = 8

func TestDemoStreamsUntilCtrlCAndLeavesNothingBehindInVM(t *testing.T) {
	builtImage(t)
	need.Tools(t, "qemu-system-aarch64", "npm", "ffmpeg")
	temp := t.TempDir()
	cmd := exec.Command("../../scripts/demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what a terminal's Ctrl-C reaches
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group := -cmd.Process.Pid
	defer func() { _ = syscall.Kill(group, syscall.SIGKILL) }()
	// a changed tree is built first
	limit := time.AfterFunc(10*time.Minute, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	defer limit.Stop()
	var seconds []string
	var ended time.Time
	for s := bufio.NewScanner(out); s.Scan(); {
		if demoLine.MatchString(s.Text()) {
			seconds = append(seconds, s.Text())
		}
		if len(seconds) == demoSeconds && ended.IsZero() {
			ended = time.Now()
			if err := syscall.Kill(group, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("demo: %v, want exit code 0 after Ctrl-C", err)
	}
	if len(seconds) < demoSeconds {
		t.Fatalf("%d seconds of streaming", len(seconds))
	}
	t.Logf("FIGURE demo: %s; everything stopped %.1f s after Ctrl-C",
		strings.Join(strings.Fields(seconds[demoSeconds-1]), " "), time.Since(ended).Seconds())
	if took := time.Since(ended); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if err := syscall.Kill(group, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("processes of the demo are left: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("files of the demo are left: %v, %v", left, err)
	}
}
