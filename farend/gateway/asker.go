// Who asks, and by which host it reached us.

package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// AskerBehind says from where a request came, behind load balancers of these networks too.
func AskerBehind(proxies []netip.Prefix) func(*http.Request) netip.Addr {
	return func(r *http.Request) netip.Addr {
		from, _ := balancers(proxies).askerOf(r)
		return from
	}
}

// balancers are the networks of load balancers, whose word counts.
type balancers []netip.Prefix

// askerOf is from where a request came, and whether that was https. Of a load balancer that we know, it
// is what that says: the last address of X-Forwarded-For that is none of ours, since what stands before
// it is the asker's own word.
func (b balancers) askerOf(r *http.Request) (from netip.Addr, isSecure bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, r.TLS != nil
	}
	from = plain(at.Addr())
	if !b.has(from) {
		return from, r.TLS != nil
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		if from = plain(a); !b.has(from) {
			break
		}
	}
	proto := r.Header.Values("X-Forwarded-Proto")
	return from, len(proto) > 0 && strings.EqualFold(strings.TrimSpace(proto[len(proto)-1]), "https")
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (b balancers) has(a netip.Addr) bool {
	return slices.ContainsFunc(b, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ownHost is the host that the source wrote into its request, which it can reach; without a
// usable one, the address that the request came to.
func ownHost(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if host == "" && ok {
		host = local.IP.String()
	}
	return host
}
