// The RTP socket of a real network, which outlives the address that it was opened with.

package rtpsend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// udpMedia is a connected UDP socket. The kernel chooses its source address when it
// connects and keeps to it: after DHCP gave the board another one, every write fails
// with ENETUNREACH, for ever. Write and Renew belong to one goroutine.
type udpMedia struct {
	network string
	to      netip.AddrPort
	heard   bool // read from, too: RTCP comes back on it
	queue   int  // bytes that may wait in this machine; 0: as many as the kernel likes
	conn    atomic.Pointer[mediaSocket]

	mu     sync.Mutex
	closed bool
}

// A mediaSocket is one socket of a udpMedia: a *net.UDPConn where it is read from,
// else an *os.File that Go's poller does not know.
type mediaSocket struct {
	io.WriteCloser
	syscall.Conn
	local *net.UDPAddr
}

// dialMedia opens a socket to write to. heard: with a *net.UDPConn inside, to read from.
// queue: how many bytes may wait in this machine.
func dialMedia(network string, to netip.AddrPort, heard bool, queue int) (*udpMedia, error) {
	u := &udpMedia{network: network, to: to, heard: heard, queue: queue}
	s, err := u.dial()
	if err != nil {
		return nil, fmt.Errorf("open RTP socket to %v: %w", to, err)
	}
	u.conn.Store(s)
	return u, nil
}

func (u *udpMedia) dial() (*mediaSocket, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		// Before it connects: a mark that is set later makes the kernel forget the route,
		// and with it the MTU.
		_ = mark(raw, u.network)         // a courtesy to the network, not a condition
		_ = askForErrors(raw, u.network) // without it, too large packets are cut into fragments
		_ = bound(raw, u.queue)
		return nil
	}}
	dialed, err := d.Dial(u.network, u.to.String())
	if err != nil {
		return nil, err
	}
	conn := dialed.(*net.UDPConn) // as network says
	local := conn.LocalAddr().(*net.UDPAddr)
	if u.heard {
		return &mediaSocket{conn, conn, local}, nil
	}
	f, err := unpolled(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &mediaSocket{f, f, local}, conn.Close()
}

// localQueue is how much of the stream may wait in this machine, for a slow Wi-Fi say. By
// default the kernel takes 212,992 bytes, headers of its own included: 1.5 s of 600
// kbit/s, by which every picture is late for ever. With a quarter of a second, Send
// waits instead, and a newer picture takes the place of the one that could not leave.
const localQueue = 250 * time.Millisecond

// leastQueue bytes hold what the pacer lets go at once.
const leastQueue = 8 * packet.MaxSize

// queueOf is the bound for a stream of bandwidth bit/s.
func queueOf(bandwidth int) int {
	return max(leastQueue, int(localQueue.Seconds()*float64(bandwidth)/8))
}

// bound limits what waits in the socket. The kernel takes twice the value and counts its
// own bookkeeping, which is as much again as a full packet (socket(7), SO_SNDBUF).
func bound(raw syscall.RawConn, queue int) error {
	if queue == 0 {
		return nil
	}
	return setOption(raw, syscall.SOL_SOCKET, syscall.SO_SNDBUF, queue)
}

// unpolled gives the socket of conn, which the caller closes, in blocking mode and out
// of Go's poller. There, each packet that the driver has sent makes room in the socket's
// queue, which is news to epoll: a thread wakes, finds nobody waiting and sleeps again,
// and the scheduler takes it for an idle processor's end and the encoder's away. At two
// packets a frame this was most of what camsource cost beyond its encoder.
func unpolled(conn *net.UDPConn) (*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	if controlErr := raw.Control(func(of uintptr) {
		if fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(fd, false)
		}
	}); controlErr != nil {
		return nil, controlErr
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "RTP socket"), nil
}

// Write sends a packet; it fails with net.ErrClosed after Close, which interrupts it.
func (u *udpMedia) Write(packet []byte) (int, error) {
	n, err := u.conn.Load().Write(packet)
	if errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE) { // EPIPE: see interrupt
		err = net.ErrClosed
	}
	return n, err
}

// Renew replaces the socket if its source address is not this machine's any more. Only
// then: the new one has another port.
func (u *udpMedia) Renew() error {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(u.conn.Load().local.IP) {
			return nil
		}
	}
	next, err := u.dial()
	if err != nil {
		return err // no other address yet
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return next.Close()
	}
	return u.conn.Swap(next).Close()
}

func (u *udpMedia) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	s := u.conn.Load()
	if !u.heard {
		interrupt(s)
	}
	return s.Close()
}

// interrupt ends a Write that waits for room in the kernel's queue: with EPIPE. Closing
// alone would wait for it.
func interrupt(s *mediaSocket) {
	raw, err := s.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // ENOTCONN or nil, and done
}
