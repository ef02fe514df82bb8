// A network namespace for a test, and what else tests need of the machine.

package udp

import (
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
)

// listen is a UDP socket on a loopback address.
func listen(t testing.TB, host string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// ip changes the namespace that this thread is in.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// inNewSpace runs f in a network namespace of its own.
func inNewSpace(t *testing.T, f func(*testing.T)) {
	t.Helper()
	need.Tools(t, "ip")
	need.Root(t, "for a network namespace")
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with it: it cannot go back
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		f(t)
	}()
	<-done
}
