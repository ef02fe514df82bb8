// Host names are looked up at the name servers of this moment.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// resolvConf is resolv.conf(5). On a board DHCP writes it, after address and route.
const resolvConf = "/etc/resolv.conf"

// maxResolvConf is far above the three servers and six domains that resolv.conf(5) knows.
const maxResolvConf = 64 << 10

var errNoNameServer = errors.New("no name server is known yet")

// errNeverSent marks a request to the gateway that never left this machine.
var errNeverSent = errors.New("nothing was sent")

// nameServers is a Resolver and a dialer that reads resolv.conf for each lookup. The standard
// library's own reads it once in 5 s: a board that asked before DHCP had an answer would know
// no name server for 5 s after it.
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

// readServers gives those that resolv.conf names now.
func (n *nameServers) readServers() []string {
	b, err := openfile.Read(n.conf, maxResolvConf)
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
	all := n.readServers()
	if len(all) == 0 {
		return nil, errNoNameServer
	}
	var d net.Dialer
	return d.DialContext(ctx, network, all[int(n.lookups.Add(1)-1)%len(all)])
}

// LookupNetIP implements Resolver.
func (n *nameServers) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, err := n.resolver.LookupNetIP(ctx, network, host)
	return addrs, explainLookup(err)
}

// DialContext is for an http.Transport. Its error is errNeverSent where nothing can have left this
// machine for it. A name is no such case once there is a server to ask: the question leaves, and
// of several addresses that it stands for the error names one.
func (n *nameServers) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Resolver: &n.resolver}).DialContext(ctx, network, addr)
	err = explainLookup(err)
	host, _, splitErr := net.SplitHostPort(addr)
	unreachable := splitErr == nil && isAddr(host) && errors.Is(err, syscall.ENETUNREACH)
	if unreachable || errors.Is(err, errNoNameServer) {
		return nil, fmt.Errorf("%w: %w", errNeverSent, err)
	}
	return conn, err
}

// explainLookup wraps errNoNameServer into the error of a lookup that had no server to ask: a
// net.DNSError keeps only the words of its cause. What resolv.conf says by now does not
// count, for DHCP may have written it since.
func explainLookup(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && strings.Contains(dns.Err, errNoNameServer.Error()) {
		return fmt.Errorf("%w: %w", errNoNameServer, err)
	}
	return err
}
