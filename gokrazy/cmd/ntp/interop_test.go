package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// inNamespace marks the child that runs in a network namespace of its own.
const inNamespace = "KRAZYCAM_TEST_IN_NAMESPACE"

// TestAgainstRealServers asks chrony for the time. It runs in a second namespace at the other end
// of a veth pair: nothing leaves the machine, and port numbers are free to be the real ones.
func TestAgainstRealServers(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		need.Root(t, "for a network of its own")
		need.Tools(t, "ip", "nsenter", "chronyd")
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), inNamespace+"=1")
		child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	far := farNamespace(t)
	networks, err := watchNetworks(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	command(t, "ip", "link", "set", "near", "up")
	command(t, "ip", "addr", "add", "192.0.2.9/24", "dev", "near")
	awaitNetwork(t, networks)
	dir := t.TempDir()
	conf := filepath.Join(dir, "chrony.conf")
	// The file system is not the namespace's own: the host's chronyd keeps its pid file and socket.
	if err := os.WriteFile(conf,
		[]byte("local stratum 3\nallow 192.0.2.0/24\ncmdport 0\nbindcmdaddress /\npidfile "+filepath.Join(dir,
			"chronyd.pid")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	far.serve(t, "chronyd", "-x", "-d", "-u", "root", "-f", conf) // -x: leaves the clock alone
	lost := filepath.Join(dir, "lost.conf")                       // a server that has no time itself
	if err := os.WriteFile(lost,
		[]byte("port 1123\nallow 192.0.2.0/24\ncmdport 0\nbindcmdaddress /\npidfile "+filepath.Join(dir,
			"lost.pid")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	far.serve(t, "chronyd", "-x", "-d", "-u", "root", "-f", lost)

	t.Run("chrony says what time it is", func(t *testing.T) {
		eventually(t, func() error { // an exchange in which one side had to wait is no measure
			s, err := asker{}.ask(t.Context(), "192.0.2.1")
			if err == nil && s.offset.Abs() > 100*time.Millisecond {
				return fmt.Errorf("offset = %v, want about none: both read one clock", s.offset)
			}
			return err
		})
	})
	t.Run("a chrony without time is refused in words", func(t *testing.T) {
		eventually(t, func() error {
			_, err := asker{}.ask(t.Context(), "192.0.2.1:1123")
			if err == nil || !strings.Contains(err.Error(), "it is not synchronised") {
				return fmt.Errorf("ask = %v, want what is wrong with it", err)
			}
			return nil
		})
	})
}

// A namespace is a process that holds it.
type namespace struct{ pid string }

// farNamespace makes the other end of the interface near, at 192.0.2.1.
func farNamespace(t *testing.T) namespace {
	holder := exec.Command("sleep", "60")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	start(t, holder)
	n := namespace{fmt.Sprint(holder.Process.Pid)}
	command(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", n.pid)
	command(t, "nsenter", "-t", n.pid, "-n", "ip", "addr", "add", "192.0.2.1/24", "dev", "far")
	command(t, "nsenter", "-t", n.pid, "-n", "ip", "link", "set", "far", "up")
	return n
}

func (n namespace) serve(t *testing.T, command ...string) {
	server := exec.Command("nsenter", append([]string{"-t", n.pid, "-n"}, command...)...)
	server.Stderr = os.Stderr
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start(t, server)
}

// start runs c until the test ends.
func start(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
}

func command(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
}

// awaitNetwork returns the IPv4 network once its address is known.
func awaitNetwork(t *testing.T, networks <-chan []network) network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		select {
		case present := <-networks:
			for _, n := range present {
				if n.address == netip.MustParseAddr("192.0.2.9") && n.name == "near" {
					return n
				}
			}
		case <-ctx.Done():
			t.Fatal("the new address was not noticed in 5 s")
		}
	}
}

// eventually repeats try while a server starts, for 10 s at most.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
