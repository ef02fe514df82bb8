// What only a process of its own can show: given-up rights, exit codes, the machine line, SIGTERM.

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
)

// buildOnce builds camsource as it is, race detector excluded, into a folder of its own.
var buildOnce = sync.OnceValues(func() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "camsource-test-"); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "camsource"), ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	builtIn = folder
	return folder, err
})

// builtIn is the folder that buildOnce has made, if it was called.
var builtIn string

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// program is the path of camsource, built for all tests of a run.
func program(t *testing.T) string {
	t.Helper()
	folder, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "camsource")
}

// sink is a UDP socket on 127.0.0.1 that somebody may send to.
func sink(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestProcessStreamsGivesUpRootAndSaysGoodbye(t *testing.T) {
	need.Root(t, "to see it given up")
	media, reports := sink(t), sink(t)
	sdp := filepath.Join(t.TempDir(), "s.sdp")
	cmd := exec.Command(program(t), "--camera", "pattern", "--sdp", sdp,
		"--rtp", media.LocalAddr().String(), "--rtcp", reports.LocalAddr().String())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	ready := make(chan string, 1)
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			if strings.HasPrefix(s.Text(), "camsource READY ") {
				ready <- s.Text()
			}
		}
	}()
	select {
	case line := <-ready:
		want := fmt.Sprintf("rtp=%v rtcp=%v size=640x480", media.LocalAddr(), reports.LocalAddr())
		if !strings.Contains(line, want) {
			t.Errorf("machine line %q lacks %q", line, want)
		}
		if !regexp.MustCompile(` rss=[1-9]\d{3,5}kB$`).MatchString(line) {
			t.Errorf("machine line %q does not end with megabytes of memory", line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no machine line in 20 s")
	}
	checkRights(t, cmd.Process.Pid)
	checkDescriptors(t, cmd.Process.Pid)
	if b, err := os.ReadFile(sdp); err != nil || !strings.Contains(string(b), "a=rtpmap:96 VP8/90000") {
		t.Errorf("SDP %q (%v), want VP8 with payload type 96", b, err)
	}
	sayMemory(t, cmd.Process.Pid)
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("SIGTERM took %v, want at most 2 s", took)
	}
	checkGoodbye(t, reports)
}

// sayMemory tells what a streaming camsource keeps in memory.
func sayMemory(t *testing.T, pid int) {
	t.Helper()
	time.Sleep(3 * time.Second) // 90 pictures: whatever is allocated late is there
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if kind, kib, ok := strings.Cut(line, ":"); ok && (kind == "VmRSS" || kind == "VmHWM") {
			t.Logf("FIGURE camsource on amd64, 640x480@30, %s: %s",
				map[string]string{"VmRSS": "resident memory", "VmHWM": "at most"}[kind], strings.TrimSpace(kib))
		}
	}
}

// checkRights reads the kernel's word about who a process is.
func checkRights(t *testing.T, pid int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of %d: %v, %v", pid, tasks, err)
	}
	const none = "0000000000000000"
	id := fmt.Sprint(board.SourceUser)
	want := map[string]string{
		"Uid:": strings.Repeat(id+" ", 4), "Gid:": strings.Repeat(id+" ", 4), "Groups:": fmt.Sprint(board.VideoGroup),
		"CapEff:": none, "CapPrm:": none, "CapInh:": none, "CapBnd:": none, "CapAmb:": none,
		"NoNewPrivs:": "1", "Seccomp:": "2",
	}
	for _, task := range tasks { // each thread, those of C too
		b, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that just ended
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if w, ok := want[f[0]]; ok && strings.Join(f[1:], " ") != strings.TrimSpace(w) {
				t.Errorf("%s: %s, want %s", task, strings.TrimSpace(line), w)
			}
		}
	}
}

// checkGoodbye reads RTCP until the BYE (payload type 203, RFC 3550 section 6.6), which must be
// the last part of a compound.
func checkGoodbye(t *testing.T, reports *net.UDPConn) {
	t.Helper()
	if err := reports.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	for {
		n, _, err := reports.ReadFromUDP(b)
		if err != nil {
			t.Fatalf("no BYE: %v", err)
		}
		for at := 0; at+4 <= n; at += 4 + 4*int(b[at+2])<<8 + 4*int(b[at+3]) {
			if b[at+1] == 203 {
				return
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	path := program(t)
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--version"}, 0},
		{[]string{"--help"}, 0},
		{[]string{"--colour"}, 2},
		{[]string{"--camera", "/dev/video99", "--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10"}, 1},
		{[]string{"--camera", "/dev/null", "--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10"}, 1},
		{[]string{"--config", file(t, "k.json", `{"stream": {"colour": 1}}`)}, 2},
		{[]string{"--camera", "pattern", "--gateway", "https://g.example/"}, 2},
	} {
		cmd := exec.Command(path, c.args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_ = cmd.Run() // its exit code is what is looked at
		if got := cmd.ProcessState.ExitCode(); got != c.want {
			t.Errorf("camsource %v: exit code %d, want %d", c.args, got, c.want)
		}
		if lines := strings.Count(stderr.String(), "\n"); c.want != 0 && lines != 1 {
			t.Errorf("camsource %v: %d lines on stderr, want 1: %q", c.args, lines, stderr.String())
		}
	}
}

// checkDescriptors finds files that a child would inherit, the kernel's log among them, and limits.
func checkDescriptors(t *testing.T, pid int) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil || len(all) < 4 {
		t.Fatalf("descriptors of %d: %v, %v", pid, all, err)
	}
	for _, path := range all {
		if n, err := strconv.Atoi(filepath.Base(path)); err != nil || n <= 2 {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			continue // closed meanwhile
		}
		var flags int
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); f[0] == "flags:" {
				if _, err := fmt.Sscanf(f[1], "%o", &flags); err != nil {
					t.Error(err)
				}
			}
		}
		if flags&syscall.O_CLOEXEC == 0 {
			to, _ := os.Readlink(strings.Replace(path, "fdinfo", "fd", 1))
			t.Errorf("%s, %s, is left open to child processes", path, to)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) ||
		!regexp.MustCompile(`Max open files +256 +256 `).Match(limits) {
		t.Errorf("limits (%v):\n%s", err, limits)
	}
}
