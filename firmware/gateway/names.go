// Names that are looked up with the name servers of this moment.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
)

// resolvConf is resolv.conf(5). On a board DHCP writes it, after address and route.
const resolvConf = "/etc/resolv.conf"

var errNoNameServer = errors.New("no name server is known yet")

// nameServers is a Resolver and a dialer. The standard library's own reads resolv.conf once in 5 s:
// a board that asked before DHCP had an answer would know no name server for 5 s after it.
type nameServers struct {
	conf     string
	resolver net.Resolver
	lookups  atomic.Uint32
}

func newNameServers(conf string) *nameServers {
	n := &nameServers{conf: conf}
	n.resolver = net.Resolver{PreferGo: true, Dial: n.dialServer}
	return n
}

// servers are those that resolv.conf names now.
func (n *nameServers) servers() []string {
	b, err := os.ReadFile(n.conf)
	if err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(f[1]); err == nil {
			all = append(all, net.JoinHostPort(f[1], "53"))
		}
	}
	return all
}

// dialServer is called once for each try, so that the next server has its turn after one
// that does not answer.
func (n *nameServers) dialServer(ctx context.Context, network, _ string) (net.Conn, error) {
	all := n.servers()
	if len(all) == 0 {
		return nil, errNoNameServer
	}
	var d net.Dialer
	return d.DialContext(ctx, network, all[int(n.lookups.Add(1)-1)%len(all)])
}

// LookupNetIP implements Resolver.
func (n *nameServers) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := n.resolver.LookupNetIP(ctx, network, host)
	return addrs, n.explain(err)
}

// dial is for an http.Transport.
func (n *nameServers) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Resolver: &n.resolver}).DialContext(ctx, network, addr)
	return conn, n.explain(err)
}

// explain says so if a name could not be looked up because there was nobody to ask; a
// net.DNSError keeps the words of its cause only. What resolv.conf says by now does not count:
// who waits for a name server asks again after 250 ms, anybody else after a pause that grows.
func (n *nameServers) explain(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && strings.Contains(dns.Err, errNoNameServer.Error()) {
		return fmt.Errorf("%w: %w", errNoNameServer, err)
	}
	return err
}
