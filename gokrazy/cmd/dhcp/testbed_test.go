package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
)

// A testbed is a board in a network namespace and two networks, br1 and br2, in another one. The
// cable from the board's interface "near" is the far end's interface "far", plugged into br1.
type testbed struct {
	t          *testing.T
	board, far string // pids that hold the namespaces
	folder     string
	log        *logFile
	program    *exec.Cmd
}

// buildProgram builds dhcp once, as an image has it: without cgo.
var buildProgram = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "dhcp-test-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, "dhcp")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := buildProgram(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func newTestbed(t *testing.T, tools ...string) *testbed {
	t.Helper()
	need.Root(t, "for networks of its own")
	need.Tools(t, append(tools, "ip", "nsenter")...)
	folder, err := os.MkdirTemp("", "dhcp-test-") // t.TempDir is root's alone, dhcp is not root
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := &testbed{t: t, folder: folder, board: holdNamespace(t), far: holdNamespace(t), log: &logFile{}}
	b.onBoard("ip", "link", "set", "lo", "up")
	b.addCable("02:00:00:00:00:05")
	b.atFar("ip", "link", "set", "lo", "up")
	for _, br := range []string{"br1", "br2"} {
		b.atFar("ip", "link", "add", br, "type", "bridge", "forward_delay", "0")
		b.atFar("ip", "link", "set", br, "up")
	}
	b.atFar("ip", "addr", "add", "192.0.2.1/24", "dev", "br1")
	b.atFar("ip", "addr", "add", "198.51.100.1/24", "dev", "br2")
	b.plug("br1")
	return b
}

func (b *testbed) addCable(mac string) {
	b.t.Helper()
	b.onBoard("ip", "link", "add", "near", "address", mac, "type", "veth", "peer", "name", "far", "netns", b.far)
}

// holdNamespace gives the pid of a process with a network of its own.
func holdNamespace(t *testing.T) string {
	holder := exec.Command("sleep", "600")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	startUntilEnd(t, holder)
	return fmt.Sprint(holder.Process.Pid)
}

func startUntilEnd(t *testing.T, c *exec.Cmd) {
	t.Helper()
	// The process must not end with the thread that started it.
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = 0
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
}

func inside(pid string, words ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", pid, "-n"}, words...)...)
}

func (b *testbed) output(pid string, words ...string) string {
	b.t.Helper()
	out, err := inside(pid, words...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
	return string(out)
}

func (b *testbed) onBoard(words ...string) string { b.t.Helper(); return b.output(b.board, words...) }
func (b *testbed) atFar(words ...string) string   { b.t.Helper(); return b.output(b.far, words...) }

func (b *testbed) unplug() { b.t.Helper(); b.atFar("ip", "link", "set", "far", "down") }

func (b *testbed) plug(bridge string) {
	b.t.Helper()
	b.atFar("ip", "link", "set", "far", "master", bridge)
	b.atFar("ip", "link", "set", "far", "up")
}

// serve runs a server at the far end.
func (b *testbed) serve(words ...string) *logFile {
	b.t.Helper()
	c := inside(b.far, words...)
	out := &logFile{}
	c.Stdout, c.Stderr = out, out
	startUntilEnd(b.t, c)
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("%s:\n%s", words[0], out)
		}
	})
	return out
}

// dnsmasq serves one bridge, and is ready when this returns.
func (b *testbed) dnsmasq(bridge, first, last string, more ...string) {
	b.t.Helper()
	out := b.serve(append([]string{"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
		"--user=root", "--bind-interfaces", "--interface=" + bridge, "--dhcp-range=" + first + "," + last + ",1h",
		"--no-ping", "--dhcp-authoritative", "--leasefile-ro", "--pid-file=",
		"--log-dhcp", "--log-facility=-"}, more...)...)
	b.await("dnsmasq", out.String, func(s string) bool { return strings.Contains(s, "sockets bound") })
}

// start runs dhcp on the board.
func (b *testbed) start(more ...string) {
	b.t.Helper()
	path, err := buildProgram()
	if err != nil {
		b.t.Fatal(err)
	}
	words := []string{path, "--interface", "near", "--state", filepath.Join(b.folder, "run"),
		"--resolv-conf", filepath.Join(b.folder, "resolv.conf")}
	b.program = inside(b.board, append(words, more...)...)
	b.program.Stderr = b.log
	startUntilEnd(b.t, b.program)
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("dhcp:\n%s\n%s", b.log, b.onBoard("ip", "addr", "show", "near"))
		}
	})
}

// addresses lists IPv4 addresses of the board.
func (b *testbed) addresses() string {
	b.t.Helper()
	var all []string
	for line := range strings.Lines(b.onBoard("ip", "-o", "-4", "addr", "show", "dev", "near")) {
		if f := strings.Fields(line); len(f) > 3 {
			all = append(all, f[3])
		}
	}
	return strings.Join(all, " ")
}

func (b *testbed) routes() string {
	b.t.Helper()
	return b.onBoard("ip", "-4", "route", "show")
}

func (b *testbed) resolvConf() string {
	c, err := os.ReadFile(filepath.Join(b.folder, "resolv.conf"))
	if err != nil {
		return err.Error()
	}
	return string(c)
}

func (b *testbed) leaseFile() string {
	c, err := os.ReadFile(filepath.Join(b.folder, "run", "near.json"))
	if err != nil {
		return err.Error()
	}
	return string(c)
}

// await waits until get gives want, for a minute at most: an answer comes within milliseconds, a
// busy machine takes its time.
func (b *testbed) await(what string, get func() string, want func(string) bool) string {
	b.t.Helper()
	var got string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = get(); want(got) {
			return got
		}
	}
	b.t.Fatalf("%s = %q after a minute", what, got)
	return ""
}

func (b *testbed) awaitAddress(want string) {
	b.t.Helper()
	b.await("addresses", b.addresses, func(got string) bool { return got == want })
}

func (b *testbed) awaitLog(words string) {
	b.t.Helper()
	b.await("log", b.log.String, func(got string) bool { return strings.Contains(got, words) })
}

// wantOnly fails unless each word is in text, and none of others.
func (b *testbed) wantOnly(what, text string, words, others []string) {
	b.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
	for _, w := range others {
		if strings.Contains(text, w) {
			b.t.Errorf("%s still has %q:\n%s", what, w, text)
		}
	}
}

// reachable sends an echo request from the board.
func (b *testbed) reachable(host string) {
	b.t.Helper()
	b.await("ping "+host, func() string {
		if out, err := inside(b.board, "ping", "-c1", "-W1", host).CombinedOutput(); err != nil {
			return string(out)
		}
		return "answered"
	}, func(got string) bool { return got == "answered" })
}

// listenAtFar opens a UDP socket at the far end, on one bridge.
func (b *testbed) listenAtFar(bridge string, port int) net.PacketConn {
	b.t.Helper()
	type result struct {
		conn net.PacketConn
		err  error
	}
	opened := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var r result
		defer func() { opened <- r }()
		ns, err := unix.Open("/proc/"+b.far+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			r.err = err
			return
		}
		defer unix.Close(ns)
		if r.err = unix.Setns(ns, unix.CLONE_NEWNET); r.err != nil {
			return
		}
		listener := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { unix.BindToDevice(int(fd), bridge) })
		}}
		r.conn, r.err = listener.ListenPacket(context.Background(), "udp4", fmt.Sprintf(":%d", port))
	}()
	r := <-opened
	if r.err != nil {
		b.t.Fatal(r.err)
	}
	b.t.Cleanup(func() { r.conn.Close() })
	return r.conn
}

// A logFile is what a process wrote.
type logFile struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *logFile) Write(b []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(b)
}

func (l *logFile) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
