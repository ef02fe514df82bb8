// Connections to the gateway of camctl receive: so many at a time, and so many of one host.

package main

import (
	"net"
	"net/netip"
	"sync"
)

// A board has one connection open for a moment each minute; some may stand behind one address.
const (
	connectionsMax       = 256
	connectionsOfHostMax = 32
)

// A boundedListener closes at once what is beyond the limits. The http.Server's times end what
// stays open: whoever sends nothing, or slowly.
type boundedListener struct {
	net.Listener
	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := hostOf(c.RemoteAddr())
		if l.take(host) {
			return &boundedConn{Conn: c, release: sync.OnceFunc(func() { l.give(host) })}, nil
		}
		_ = c.Close()
	}
}

func (l *boundedListener) take(host netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= connectionsMax || l.open[host] >= connectionsOfHostMax {
		return false
	}
	l.total++
	l.open[host]++
	return true
}

func (l *boundedListener) give(host netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[host]--; l.open[host] == 0 {
		delete(l.open, host)
	}
}

// A boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// hostOf is what one host has: an IPv4 address, or an IPv6 network of 64 bits.
func hostOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits)
	return p
}
