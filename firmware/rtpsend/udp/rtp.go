// The RTP socket of a real network, which outlives the address that it was opened with.

package udp

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

// An RTPConn is a connected UDP socket that RTP is written to. The kernel chooses its source
// address when it connects and keeps to it: after DHCP gave the board another one, every write
// fails with ENETUNREACH, for ever. Write, MTU and Renew belong to one goroutine at a time.
type RTPConn struct {
	network string
	to      netip.AddrPort
	mux     bool // read from, too: RTCP comes back on it
	queue   int  // Config.Queue
	socket  atomic.Pointer[rtpSocket]

	mu     sync.Mutex // between Renew and Close: a socket that comes after Close must not stay
	closed bool
}

// An rtpSocket is one socket of an RTPConn: a *net.UDPConn where it is read from,
// else an *os.File that Go's poller does not know.
type rtpSocket struct {
	io.WriteCloser
	syscall.Conn
	local *net.UDPAddr
}

// dialRTP opens a socket to write to; with mux it can be read from, too.
func dialRTP(network string, to netip.AddrPort, mux bool, queue int) (*RTPConn, error) {
	c := &RTPConn{network: network, to: to, mux: mux, queue: queue}
	s, err := c.dialSocket()
	if err != nil {
		return nil, fmt.Errorf("open RTP socket to %v: %w", to, err)
	}
	c.socket.Store(s)
	return c, nil
}

// localQueue is how much of the stream may wait in this machine, for a slow Wi-Fi say. By
// default the kernel takes 212,992 bytes, headers of its own included: 1.5 s of 600
// kbit/s, by which every picture is late for ever. With a quarter of a second, Send
// waits instead, and a newer picture takes the place of the one that could not leave.
const localQueue = 250 * time.Millisecond

// minQueue bytes hold what the pacer lets go at once.
const minQueue = 8 * packet.MaxSize

// QueueFor is the Config.Queue of a stream of bandwidth bit/s.
func QueueFor(bandwidth int) int {
	return max(minQueue, int(localQueue.Seconds()*float64(bandwidth)/8))
}

func (c *RTPConn) dialSocket() (*rtpSocket, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		// Before it connects: a mark that is set later makes the kernel forget the route,
		// and with it the MTU.
		_ = setTrafficClass(raw, c.network) // a courtesy to the network, not a condition
		_ = refuseFragments(raw, c.network) // without it, too large packets are cut into fragments
		_ = limitQueue(raw, c.queue)
		if c.mux {
			_ = filterRTCP(raw, c.to.Addr()) // rtpsend judges all the same
		}
		return nil
	}}
	dialed, err := d.Dial(c.network, c.to.String())
	if err != nil {
		return nil, err
	}
	conn := dialed.(*net.UDPConn) // as network says
	local := conn.LocalAddr().(*net.UDPAddr)
	if c.mux {
		return &rtpSocket{conn, conn, local}, nil
	}
	f, err := leavePoller(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &rtpSocket{f, f, local}, conn.Close()
}

// leavePoller gives the socket of conn, which the caller closes, in blocking mode and out of
// Go's poller. In the poller, each packet that the driver has sent makes room in the socket's
// queue, which epoll reports: a thread wakes, finds nobody waiting and sleeps again, and each
// time the scheduler moves the encoder to another processor. At two packets a frame this was
// most of what camsource cost beyond its encoder (docs/encoder.md).
func leavePoller(conn *net.UDPConn) (*os.File, error) {
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
func (c *RTPConn) Write(packet []byte) (int, error) {
	n, err := c.socket.Load().Write(packet)
	if errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE) { // EPIPE: see interrupt
		err = net.ErrClosed
	}
	return n, err
}

// Renew replaces the socket if its source address is not this machine's any more. Only
// then: the new one has another port.
func (c *RTPConn) Renew() error {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(c.socket.Load().local.IP) {
			return nil
		}
	}
	next, err := c.dialSocket()
	if err != nil {
		return err // no other address yet
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return next.Close()
	}
	return c.socket.Swap(next).Close()
}

// Close frees the socket and interrupts a Write that waits.
func (c *RTPConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	s := c.socket.Load()
	if !c.mux {
		interrupt(s)
	}
	return s.Close()
}

// interrupt ends a Write that waits for room in the kernel's queue: with EPIPE. Closing
// alone would wait for it.
func interrupt(s *rtpSocket) {
	raw, err := s.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // ENOTCONN or nil, and done
}
