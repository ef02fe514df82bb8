package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRenewKeepsASocketWhoseAddressIsOurs(t *testing.T) {
	_, to := listen(t, "127.0.0.1")
	m, err := dialRTP("udp4", to, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := m.socket.Load()
	if err := m.Renew(); err != nil || m.socket.Load() != before {
		t.Errorf("Renew = %v, replaced %v; want nil, false", err, m.socket.Load() != before)
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := m.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
}

func TestStreamFollowsToANewAddress(t *testing.T) { inNewSpace(t, followNewAddress) }

func followNewAddress(t *testing.T) {
	ip(t, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	ip(t, "addr", "add", "10.9.9.1/24", "dev", "d0")
	ip(t, "link", "set", "d1", "up")
	ip(t, "link", "set", "d0", "up")
	m, err := dialRTP("udp4", netip.MustParseAddrPort("10.9.9.2:5004"), false, 0)
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

// The neighbour never answers ARP: packets wait for it in the kernel, and fill the queue.
func TestCloseInterruptsAWriteThatWaitsForRoom(t *testing.T) {
	inNewSpace(t, func(t *testing.T) {
		for _, heard := range []bool{false, true} {
			name := fmt.Sprintf("s%v", heard)
			ip(t, "link", "add", name, "type", "veth", "peer", "name", name+"p")
			ip(t, "addr", "add", "10.9.8.1/24", "dev", name)
			ip(t, "link", "set", name+"p", "up")
			ip(t, "link", "set", name, "up")
			closeWhileWriting(t, heard)
			ip(t, "link", "del", name)
		}
	})
}

func closeWhileWriting(t *testing.T, heard bool) {
	m, err := dialRTP("udp4", netip.MustParseAddrPort("10.9.8.2:5004"), heard, 0)
	if err != nil {
		t.Error(err)
		return
	}
	raw, err := m.socket.Load().SyscallConn()
	if err == nil {
		err = setOption(raw, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
	}
	if err != nil {
		t.Error(err)
	}
	var written atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := m.Write(make([]byte, 1000)); err != nil {
				ended <- err
				return
			}
			written.Add(1)
		}
	}()
	time.Sleep(200 * time.Millisecond)
	if n := written.Load(); n == 0 || n > 50 {
		t.Errorf("heard %v: %d packets left, want a few and then none", heard, n)
	}
	begin := time.Now()
	if err := m.Close(); err != nil {
		t.Errorf("heard %v: Close = %v", heard, err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("heard %v: interrupted Write = %v, want ErrClosed", heard, err)
	}
	if took := time.Since(begin); took > 500*time.Millisecond { // ARP gives up after 3 s
		t.Errorf("heard %v: Close and Write took %v", heard, took)
	}
}

// A socket that epoll watches wakes a thread for each packet: see leavePoller.
func TestOnlyASocketThatIsReadIsInThePoller(t *testing.T) {
	_, to := listen(t, "127.0.0.1")
	for _, heard := range []bool{false, true} {
		m, err := dialRTP("udp4", to, heard, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		raw, err := m.socket.Load().SyscallConn()
		var s unix.Stat_t
		if err == nil {
			err = raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &s) })
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := polled(t, s.Ino); got != heard {
			t.Errorf("read from %v: in the poller %v", heard, got)
		}
	}
}

// polled tells whether an epoll of this process watches the file with an inode: proc(5), fdinfo.
func polled(t *testing.T, inode uint64) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, path := range all {
		b, _ := os.ReadFile(path) // the folder's own is gone
		if regexp.MustCompile(fmt.Sprintf(`(?m)^tfd:.* ino:%x `, inode)).Match(b) {
			return true
		}
	}
	return false
}
