// A network of two namespaces for what only whole programs show, and what runs in it.

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
)

// A yard has camsource at one end of a cable and, behind a bridge, a receiver at the other.
type yard struct {
	t        *testing.T
	ours     string // namespace of camsource
	theirs   string
	browser  string // behind theirs, if there is one
	mu       sync.Mutex
	pictures int
	logs     string // folder of what programs said

	stopReceiver func()
}

// yards counts them: tests that wait stand beside each other.
var yards atomic.Int32

const firstAddress, secondAddress = "10.79.0.2", "10.79.0.3"

// newYard skips without root, ip or one of the tools, or fails where nothing may be skipped.
func newYard(t *testing.T, tools ...string) *yard {
	t.Helper()
	need.Root(t, "for networks of its own")
	need.Tools(t, append(tools, "ip")...)
	name := fmt.Sprintf("%d-%d", os.Getpid(), yards.Add(1))
	y := &yard{t: t, ours: "cam-a-" + name, theirs: "cam-b-" + name}
	for _, space := range []string{y.ours, y.theirs} {
		y.ip("netns", "add", space)
		t.Cleanup(func() { y.ip("netns", "del", space) })
		y.ip("-n", space, "link", "set", "lo", "up")
	}
	y.ip("-n", y.ours, "link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", y.theirs)
	y.ip("-n", y.ours, "addr", "add", "10.79.0.1/24", "dev", "va")
	y.ip("-n", y.ours, "link", "set", "va", "up")
	// A port that is always up keeps the bridge up when the cable is out.
	y.ip("-n", y.theirs, "link", "add", "br0", "type", "bridge")
	y.ip("-n", y.theirs, "link", "add", "idle", "type", "veth", "peer", "name", "end")
	for _, port := range []string{"vb", "idle"} {
		y.ip("-n", y.theirs, "link", "set", port, "master", "br0", "up")
	}
	y.ip("-n", y.theirs, "link", "set", "end", "up")
	y.ip("-n", y.theirs, "link", "set", "br0", "up")
	y.ip("-n", y.theirs, "addr", "add", firstAddress+"/24", "dev", "br0")
	return y
}

func (y *yard) ip(args ...string) {
	y.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		y.t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// run starts a program in a namespace, and whatever that starts, until the test's end or
// until stop is called. out takes what it says.
func (y *yard) run(space string, out io.Writer, args ...string) (stop func()) {
	y.t.Helper()
	c := exec.Command("ip", append([]string{"netns", "exec", space}, args...)...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = time.Second // for out, which a grandchild may hold open
	if err := c.Start(); err != nil {
		y.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL); _ = c.Wait() })
	y.t.Cleanup(stop)
	return stop
}

// record writes what passes the cable to a file, whole once stop returns.
func (y *yard) record(file string) (stop func()) {
	y.t.Helper()
	c := exec.Command("ip", "netns", "exec", y.ours, "dumpcap", "-i", "va", "-f", "udp", "-w", file)
	c.Stderr = y.log("dumpcap")
	if err := c.Start(); err != nil {
		y.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = c.Process.Signal(syscall.SIGINT); _ = c.Wait() })
	y.t.Cleanup(stop)
	y.await("the recorder", func() bool { return strings.Contains(y.said("dumpcap"), "File:") })
	return stop
}

// log is a file for what a program says; said reads it.
func (y *yard) log(who string) *os.File {
	y.t.Helper()
	if y.logs == "" {
		y.logs = y.t.TempDir()
	}
	f, err := os.Create(filepath.Join(y.logs, who))
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { f.Close() })
	return f
}

func (y *yard) said(who string) string {
	b, err := os.ReadFile(filepath.Join(y.logs, who))
	if err != nil { // not fatal: at the end of a test others still have to clean up
		return err.Error()
	}
	return string(b)
}

// output runs a program in a namespace to its end.
func (y *yard) output(space string, args ...string) string {
	y.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", space}, args...)...).Output()
	if err != nil {
		y.t.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

func (y *yard) await(what string, there func() bool) {
	y.t.Helper()
	for began := time.Now(); !there(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			y.t.Fatalf("%s: not there after 30 s", what)
		}
	}
}

// listen opens a TCP port in a namespace. The thread that goes there ends with its goroutine.
func (y *yard) listen(space string) (l net.Listener) {
	y.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		there, err := os.Open("/run/netns/" + space)
		if err == nil {
			defer there.Close()
			err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		y.t.Fatalf("listen in %s: %v", space, err)
	}
	return l
}
