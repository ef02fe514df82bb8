// A board's camsource that is killed in the middle of its bench, as a power cut kills it. The
// program is that of an image; a folder stands for the board's file system.

package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// boardRoot is a file system with camsource as an image has it, which measures itself and then
// streams a pattern to media and reports.
func boardRoot(t *testing.T, media, reports net.Addr) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-tags", "gokrazy,netgo,osusergo",
		"-ldflags", "-linkmode external -extldflags -static", "-o", filepath.Join(dir, "camsource"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seed, err := json.Marshal(map[string]any{
		"camera": map[string]any{"device": "pattern"},
		"stream": map[string]any{"size": "160x120", "rtp": media.String(), "rtcp": reports.String()},
		"bench":  map[string]any{"once": true, "frames": 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "perm"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "perm", "krazycam.json"), seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startUntil starts the camsource of a board, waits for a line that begins with end, and gives
// all lines up to it. The program is killed then.
func startUntil(t *testing.T, root, end string, then func()) (lines []string) {
	t.Helper()
	cmd := exec.Command("/camsource", "--config", "/perm/krazycam.json")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	defer time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }).Stop()
	for s := bufio.NewScanner(stderr); s.Scan(); {
		lines = append(lines, s.Text())
		if strings.HasPrefix(s.Text(), end) {
			then()
			return lines
		}
	}
	t.Fatalf("camsource ended without a line %q:\n%s", end, strings.Join(lines, "\n"))
	return nil
}

func TestProcessOfABoardStreamsAfterABenchThatWasKilled(t *testing.T) {
	need.Root(t, "for a file system of its own")
	media, reports := sink(t), sink(t)
	root := boardRoot(t, media.LocalAddr(), reports.LocalAddr())
	startUntil(t, root, "bench: 1 of ", func() {})
	lines := startUntil(t, root, "camsource READY ", func() {
		packet := make([]byte, 2048)
		_ = media.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := media.Read(packet); err != nil || n < 13 || packet[0]>>6 != 2 {
			t.Errorf("no RTP after the bench: % x, %v", packet[:min(n, 12)], err)
		}
	})
	console := strings.Join(lines, "\n")
	if strings.Count(console, "bench: ") != 1 ||
		!strings.Contains(console, "\nbench: interrupted at an earlier start") {
		t.Errorf("the next start:\n%s\nwant one line about the bench", console)
	}
}
