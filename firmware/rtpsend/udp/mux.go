// RTP and RTCP through one socket, to one port. Spec: RFC 5761.

package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// muxConn is the RTCPConn of a receiver that takes both on one port. The socket is
// the RTPConn's, which closes it.
type muxConn struct{ rtp *RTPConn }

func (m *muxConn) Send(packet []byte) error {
	_, err := m.rtp.socket.Load().Write(packet)
	return err
}

// Receive hears the receiver alone: the socket is connected.
func (m *muxConn) Receive(b []byte, wait time.Duration) (int, netip.AddrPort, error) {
	socket := m.rtp.socket.Load()
	conn := socket.Conn.(*net.UDPConn) // because RTPConn.mux is set
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, netip.AddrPort{}, m.hideRenewal(socket, err)
	}
	n, err := conn.Read(b)
	return n, m.rtp.to, m.hideRenewal(socket, err)
}

// hideRenewal makes a timeout of the error of a socket that was replaced, not closed for good.
func (m *muxConn) hideRenewal(socket *rtpSocket, err error) error {
	if errors.Is(err, net.ErrClosed) && m.rtp.socket.Load() != socket {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (m *muxConn) LocalPort() int { return m.rtp.socket.Load().local.Port }
func (m *muxConn) Close() error   { return nil }
