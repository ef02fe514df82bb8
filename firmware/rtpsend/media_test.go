package rtpsend

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnreachableReceiverRenewsTheSocketOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		for range 90 { // 3 s at 30 fps
			r.media.errs = []error{syscall.ENETUNREACH}
			r.frame(t, false, 100)
			time.Sleep(time.Second / 30)
		}
		if r.media.renewed != 3 {
			t.Errorf("renewed %d times in 3 s, want 3", r.media.renewed)
		}
		r.media.errs = []error{syscall.ECONNREFUSED}
		time.Sleep(time.Second)
		r.frame(t, false, 100)
		if r.media.renewed != 3 {
			t.Error("renewed although there is a route: the receiver would see another port")
		}
	})
}

func TestRenewKeepsASocketWhoseAddressIsOurs(t *testing.T) {
	_, to := listen(t, "127.0.0.1")
	m, err := dialMedia("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	before := m.conn.Load()
	if err := m.Renew(); err != nil || m.conn.Load() != before {
		t.Errorf("Renew = %v, replaced %v; want nil, false", err, m.conn.Load() != before)
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := m.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
}

// ip changes the namespace that this thread is in.
func ip(t *testing.T, args ...string) {
	t.Helper()
	run(t, exec.Command("ip", args...))
}

func TestStreamFollowsToANewAddress(t *testing.T) {
	need(t, "ip")
	if os.Geteuid() != 0 {
		lacking(t, "root, for a network namespace")
	}
	done := make(chan struct{})
	go func() { // on a thread of its own, which ends with it: it cannot go back
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		followNewAddress(t)
	}()
	<-done
}

func followNewAddress(t *testing.T) {
	ip(t, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	ip(t, "addr", "add", "10.9.9.1/24", "dev", "d0")
	ip(t, "link", "set", "d1", "up")
	ip(t, "link", "set", "d0", "up")
	m, err := dialMedia("udp4", netip.MustParseAddrPort("10.9.9.2:5004"))
	if err != nil {
		t.Error(err)
		return
	}
	defer m.Close()
	ip(t, "addr", "del", "10.9.9.1/24", "dev", "d0")
	ip(t, "addr", "add", "10.9.9.7/24", "dev", "d0")
	if _, err := m.Write([]byte{1}); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("Write from the lost address = %v, want ENETUNREACH: is Renew still needed?", err)
	}
	if err := m.Renew(); err != nil {
		t.Errorf("Renew = %v", err)
	}
	if _, err := m.Write([]byte{1}); err != nil {
		t.Errorf("Write from the new address = %v", err)
	}
}
