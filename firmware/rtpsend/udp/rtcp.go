// The RTCP socket of its own port.

package udp

import (
	"net"
	"net/netip"
	"time"
)

// rtcpConn is the RTCPConn of a receiver that takes RTCP on a port of its own.
type rtcpConn struct {
	conn *net.UDPConn
	to   netip.AddrPort
}

func listenRTCP(cfg Config) (*rtcpConn, error) {
	version, local := network(cfg.RTCP.Addr()), netip.IPv6Unspecified()
	if cfg.RTCP.Addr().Is4() {
		local = netip.IPv4Unspecified()
	}
	at := netip.AddrPortFrom(local, uint16(cfg.LocalRTCPPort))
	conn, err := net.ListenUDP(version, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = setTrafficClass(raw, version)
	}
	if err != nil { // a courtesy to the network, not a condition
		cfg.Log.Debug("packets carry no DSCP mark", "error", err)
	}
	if raw != nil {
		if err := filterRTCP(raw, cfg.RTCP.Addr()); err != nil { // rtpsend judges all the same
			cfg.Log.Debug("the kernel does not filter RTCP", "error", err)
		}
	}
	return &rtcpConn{conn: conn, to: cfg.RTCP}, nil
}

// reportRoom is how long a report waits for room in the kernel's queue: on a link that
// has stalled it is lost, or BYE would wait for the link.
const reportRoom = 50 * time.Millisecond

func (c *rtcpConn) Send(packet []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(reportRoom)); err != nil {
		return err
	}
	_, err := c.conn.WriteToUDPAddrPort(packet, c.to)
	return err
}

func (c *rtcpConn) Receive(b []byte, wait time.Duration) (int, netip.AddrPort, error) {
	// Go keeps deadlines on its monotonic clock: setting the time of day moves none.
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, netip.AddrPort{}, err
	}
	return c.conn.ReadFromUDPAddrPort(b)
}

func (c *rtcpConn) LocalPort() int { return c.conn.LocalAddr().(*net.UDPAddr).Port }

func (c *rtcpConn) Close() error { return c.conn.Close() }
