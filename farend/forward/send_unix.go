//go:build unix

// Datagrams that are sent without waiting. net's methods wait while a socket's send buffer is full, which a
// slow interface may keep full for seconds; Go's sockets are non-blocking, so the system calls do not.

package forward

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// A sender sends by one socket. One goroutine at a time uses it, and it allocates nothing.
type sender struct {
	raw   syscall.RawConn
	to    syscall.Sockaddr // nil: the socket is connected
	from  net.Addr
	far   net.Addr
	write func(fd uintptr) (done bool) // writeOnce

	// The call's own.
	packet []byte
	err    error
}

// newSender sends by a connected socket.
func newSender(c *net.UDPConn) (*sender, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &sender{raw: raw, from: c.LocalAddr(), far: c.RemoteAddr()}
	s.write = s.writeOnce
	return s, nil
}

// newSenderBeside sends by a socket that is not connected, to a port of the host to which another is.
func newSenderBeside(c, connected *net.UDPConn, port int) (*sender, error) {
	s, err := newSender(c)
	if err != nil {
		return nil, err
	}
	s.far = connected.RemoteAddr()
	other, err := connected.SyscallConn()
	if err != nil {
		return nil, err
	}
	var asked error
	if err := other.Control(func(fd uintptr) { s.to, asked = syscall.Getpeername(int(fd)) }); err != nil {
		return nil, err
	}
	switch to := s.to.(type) {
	case *syscall.SockaddrInet4:
		to.Port = port
	case *syscall.SockaddrInet6:
		to.Port = port
	default:
		return nil, fmt.Errorf("find the far address: %v, %w", s.to, os.NewSyscallError("getpeername", asked))
	}
	return s, nil
}

// send gives a datagram to the kernel, or says why that does not take it: errBufferFull at once.
func (s *sender) send(packet []byte) error {
	s.packet = packet
	err := s.raw.Write(s.write)
	s.packet = nil
	switch {
	case err != nil:
		return err
	case s.err == nil:
		return nil
	case s.err == syscall.EAGAIN || s.err == syscall.ENOBUFS:
		return errBufferFull
	}
	return &net.OpError{Op: "write", Net: "udp", Source: s.from, Addr: s.far, Err: os.NewSyscallError("write", s.err)}
}

// writeOnce tries once: it never has the runtime wait for the socket.
func (s *sender) writeOnce(fd uintptr) (done bool) {
	for {
		if s.to == nil {
			_, s.err = syscall.Write(int(fd), s.packet)
		} else {
			s.err = syscall.Sendto(int(fd), s.packet, 0, s.to)
		}
		if s.err != syscall.EINTR {
			return true
		}
	}
}
