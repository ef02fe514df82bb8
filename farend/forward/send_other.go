//go:build !unix

// Datagrams that are sent without waiting for long, where the system has no call that does not wait.

package forward

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// sendLimit is how long a datagram may wait for room in a socket's send buffer.
const sendLimit = time.Millisecond

// A sender sends by one socket. One goroutine at a time uses it.
type sender struct {
	conn *net.UDPConn
	to   netip.AddrPort // not valid: the socket is connected
}

// newSender sends by a connected socket.
func newSender(c *net.UDPConn) (*sender, error) { return &sender{conn: c}, nil }

// newSenderBeside sends by a socket that is not connected, to a port of the host to which another is.
func newSenderBeside(c, connected *net.UDPConn, port int) (*sender, error) {
	host := connected.RemoteAddr().(*net.UDPAddr).AddrPort().Addr()
	return &sender{c, netip.AddrPortFrom(host, uint16(port))}, nil
}

// send gives a datagram to the kernel, or says why that does not take it: errBufferFull within sendLimit.
func (s *sender) send(packet []byte) (err error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	if s.to.IsValid() {
		_, err = s.conn.WriteToUDPAddrPort(packet, s.to)
	} else {
		_, err = s.conn.Write(packet)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errBufferFull
	}
	return err
}
