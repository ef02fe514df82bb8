// Package listener bounds the connections to a server that strangers reach: so many at a time, and
// so many of one host. It owns no goroutine. Times are the http.Server's: they end what stays open.
//
// Test it with connections from several addresses of 127.0.0.0/8.
package listener

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Bounded is a net.Listener that closes at once what is beyond its limits.
type Bounded struct {
	net.Listener
	max, ofHostMax int
	balancers      []netip.Prefix

	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

// Bound accepts from inner at most max connections at a time, and ofHostMax of one host. That limit is not
// for balancers, behind which many hosts stand.
func Bound(inner net.Listener, max, ofHostMax int, balancers ...netip.Prefix) *Bounded {
	return &Bounded{
		Listener: inner, max: max, ofHostMax: ofHostMax, balancers: balancers, open: map[netip.Prefix]int{},
	}
}

// Accept waits for a connection that is within the limits.
func (l *Bounded) Accept() (net.Conn, error) {
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

func (l *Bounded) take(host netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.max || l.open[host] >= l.ofHostMax && !l.isBalancer(host) {
		return false
	}
	l.total++
	l.open[host]++
	return true
}

func (l *Bounded) isBalancer(host netip.Prefix) bool {
	return slices.ContainsFunc(l.balancers, func(b netip.Prefix) bool { return b.Overlaps(host) })
}

func (l *Bounded) give(host netip.Prefix) {
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

// hostOf is the network of a connection's other end.
func hostOf(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	return NetworkOf(at.Addr())
}

// NetworkOf is what one host has: an IPv4 address, or an IPv6 network of 64 bits.
func NetworkOf(a netip.Addr) netip.Prefix {
	a, bits := a.Unmap().WithZone(""), 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // not valid for an address that is not
	return p
}
