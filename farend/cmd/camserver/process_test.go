// camserver as a process of its own, which can be killed.

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serverArguments is the environment variable that makes a camserver of the test's own program.
const serverArguments = "KRAZYCAM_CAMSERVER_ARGUMENTS"

func TestMain(m *testing.M) {
	if args := os.Getenv(serverArguments); args != "" {
		ctx, stop := untilTold()
		code := run(ctx, strings.Split(args, "\n"), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// A process is a running camserver.
type process struct {
	cmd   *exec.Cmd
	state string
	url   string // of the gateway
	rtp   string
	log   *tail
	said  *tail         // stdout
	ended chan struct{} // closed when it has ended
	err   error         // of Wait, after that
}

// A tail keeps what a process writes.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var readyLine = regexp.MustCompile(`(?m)^camserver READY gateway=(\S+) rtp=(\S+) rtcp=(\S+)$`)

// launch starts a camserver and does not wait for anything.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{log: &tail{}, said: &tail{}, ended: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), serverArguments+"="+strings.Join(args, "\n"))
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("camserver %s said:\n%s", strings.Join(args, " "), lastLines(p.log.String(), 60))
		}
	})
	return p
}

// startServer starts a camserver on loopback and waits until cameras may ask.
func startServer(t *testing.T, state string, args ...string) *process {
	t.Helper()
	p := launch(t, append([]string{"--state", state, "--listen", "127.0.0.1:0", "--ports", "0,0", "--operator", ""},
		args...)...)
	p.state = state
	p.awaitReady(t)
	return p
}

func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	for deadline := time.After(time.Minute); ; {
		if m := readyLine.FindStringSubmatch(p.said.String()); m != nil {
			p.url, p.rtp = m[1], m[2]
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("camserver ended before it was ready: %v\n%s", p.err, p.log)
		case <-deadline:
			t.Fatalf("camserver is not ready:\n%s", p.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// end sends a signal and gives the exit code, -1 if the signal ended it, and how long that took.
func (p *process) end(t *testing.T, how os.Signal) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Fatalf("camserver does not end after %v", how)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

func (p *process) kill(t *testing.T) { t.Helper(); p.end(t, syscall.SIGKILL) }

// first reads what the first start printed behind a word.
func (p *process) first(t *testing.T, word string) string {
	t.Helper()
	for s := bufio.NewScanner(strings.NewReader(p.said.String())); s.Scan(); {
		if _, value, found := strings.Cut(s.Text(), word); found {
			return value
		}
	}
	t.Fatalf("the first start did not print %q:\n%s", word, p.said)
	return ""
}

// key is that of the first customer.
func (p *process) key(t *testing.T) string {
	t.Helper()
	return p.first(t, `key of the customer "first": `)
}

// ca is the text of the certificate that was made; "" with http.
func (p *process) ca(t *testing.T) string {
	t.Helper()
	if strings.HasPrefix(p.url, "http:") {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(p.state, "gateway-cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// buildCamsource builds the real one, once for all tests of a run; the go command keeps it.
func buildCamsource(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("camsource is for Linux")
	}
	path := filepath.Join(t.TempDir(), "camsource")
	out, err := exec.Command("go", "build", "-o", path, "../../../firmware/cmd/camsource").CombinedOutput()
	if err != nil {
		t.Fatalf("go build camsource: %v\n%s", err, out)
	}
	return path
}

// startCamsource runs one that streams the test pattern as the seed says.
func startCamsource(t *testing.T, program, seed string) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.Command(program, "--config", seed, "--camera", "pattern", "--size", "320x240", "--fps", "15",
		"--bitrate", "200k")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home)
	log := &tail{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("camsource said:\n%s", lastLines(log.String(), 20))
		}
	})
}

// isLong says that the whole of the long tests is asked for.
func isLong() bool { return os.Getenv("KRAZYCAM_LONG") != "" }

// figure is a line that scripts/test collects.
func figure(t *testing.T, format string, a ...any) {
	t.Helper()
	t.Log("FIGURE " + fmt.Sprintf(format, a...))
}

// freePort is an address of loopback that nobody has at present.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// freePorts are two UDP ports that nobody has at present.
func freePorts(t *testing.T) string {
	t.Helper()
	var ports []string
	for range 2 {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		ports = append(ports, port)
	}
	return strings.Join(ports, ",")
}
