// The RTP socket of a real network, which outlives the address that it was opened with.

package rtpsend

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// udpMedia is a connected UDP socket. The kernel chooses its source address when it
// connects and keeps to it: after DHCP gave the board another one, every write fails
// with ENETUNREACH, for ever. Write and Renew belong to one goroutine.
type udpMedia struct {
	network string
	to      netip.AddrPort
	conn    atomic.Pointer[net.UDPConn]

	mu     sync.Mutex
	closed bool
}

func dialMedia(network string, to netip.AddrPort) (*udpMedia, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		// Before it connects: a mark that is set later makes the kernel forget the route,
		// and with it the MTU.
		_ = mark(raw, network)         // a courtesy to the network, not a condition
		_ = askForErrors(raw, network) // without it, too large packets are cut into fragments
		return nil
	}}
	conn, err := d.Dial(network, to.String())
	if err != nil {
		return nil, fmt.Errorf("open RTP socket to %v: %w", to, err)
	}
	u := &udpMedia{network: network, to: to}
	u.conn.Store(conn.(*net.UDPConn)) // as network says
	return u, nil
}

func (u *udpMedia) Write(packet []byte) (int, error) { return u.conn.Load().Write(packet) }

// Renew replaces the socket if its source address is not this machine's any more. Only
// then: the new one has another port.
func (u *udpMedia) Renew() error {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	source := u.conn.Load().LocalAddr().(*net.UDPAddr).IP
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(source) {
			return nil
		}
	}
	next, err := dialMedia(u.network, u.to)
	if err != nil {
		return err // no other address yet
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return next.Close()
	}
	return u.conn.Swap(next.conn.Load()).Close()
}

func (u *udpMedia) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	return u.conn.Load().Close()
}
