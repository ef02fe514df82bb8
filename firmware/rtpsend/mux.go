// RTP and RTCP through one socket, to one port. Spec: RFC 5761.

package rtpsend

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// muxReports is the reportConn of a receiver that takes both on one port. The socket is
// the media's, which closes it.
type muxReports struct{ media *udpMedia }

func (m *muxReports) Send(packet []byte) error {
	conn := m.media.conn.Load()
	_, err := conn.Write(packet)
	return err
}

// Receive hears the receiver alone: the socket is connected.
func (m *muxReports) Receive(b []byte, wait time.Duration) (int, netip.AddrPort, error) {
	conn := m.media.conn.Load()
	udp := conn.Conn.(*net.UDPConn) // for it is heard
	if err := udp.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, netip.AddrPort{}, m.renewed(conn, err)
	}
	n, err := udp.Read(b)
	return n, m.media.to, m.renewed(conn, err)
}

// renewed tells a socket that was replaced from one that was closed for good.
func (m *muxReports) renewed(conn *mediaSocket, err error) error {
	if errors.Is(err, net.ErrClosed) && m.media.conn.Load() != conn {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (m *muxReports) LocalPort() int { return m.media.conn.Load().local.Port }
func (m *muxReports) Close() error   { return nil }
