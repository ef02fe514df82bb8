// Connections: at most so many, and so many from one address.

package webui

import (
	"net"
	"net/netip"
	"sync"
)

// maxConnections is how many a board holds open; one costs about 50 kB. An address has some of them.
const (
	maxConnections           = 48
	maxConnectionsPerAddress = 12
)

// LimitListener closes at once what is above the limits. Waiting instead would let one address that
// opens many keep all others out.
func LimitListener(l net.Listener) net.Listener {
	return &limitListener{Listener: l, open: map[netip.Prefix]int{}}
}

type limitListener struct {
	net.Listener

	mu   sync.Mutex // nothing is called under it
	open map[netip.Prefix]int
	all  int
}

// Accept waits for a connection that is within the limits.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		key := group(RemoteAddr(conn.RemoteAddr().String()))
		if l.take(key) {
			return &limitedConn{Conn: conn, give: sync.OnceFunc(func() { l.give(key) })}, nil
		}
		_ = conn.Close() // nobody waits for it
	}
}

func (l *limitListener) take(key netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConnections || l.open[key] >= maxConnectionsPerAddress {
		return false
	}
	l.all++
	l.open[key]++
	return true
}

func (l *limitListener) give(key netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.open[key]--; l.open[key] == 0 {
		delete(l.open, key)
	}
}

type limitedConn struct {
	net.Conn
	give func()
}

// Close gives the place back.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.give()
	return err
}

// RemoteAddr is the address in "ADDRESS:PORT", as http.Request.RemoteAddr has it; the zero Addr if
// there is none.
func RemoteAddr(hostPort string) netip.Addr {
	a, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}
