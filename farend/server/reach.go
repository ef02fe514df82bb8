// By which addresses boards reach this machine, and what a board must be told.

package server

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// VMHost is this machine as a board in camctl vm sees it.
const VMHost = "10.0.2.2"

// reachableHosts are the addresses by which boards may reach a listener on host;
// the first is the likeliest: IPv4 before IPv6, the network before this machine.
func reachableHosts(host string) []string {
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{host}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return []string{"127.0.0.1"}
	}
	var four, six []string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch addr := p.Addr(); {
		case err != nil || addr.IsLoopback() || addr.IsLinkLocalUnicast():
		case addr.Is4():
			four = append(four, addr.String())
		default:
			six = append(six, addr.String())
		}
	}
	return append(append(four, six...), "127.0.0.1")
}

// Seed is the krazycam.json of a board that asks the gateway at gatewayURL with key. ca is the text of the
// certificate to trust, "" for the public authorities.
func Seed(gatewayURL, key, ca string) string {
	g := map[string]any{"url": gatewayURL, "key": key}
	if ca != "" {
		g["ca"] = ca
	}
	if strings.HasPrefix(gatewayURL, "http:") {
		g["allow-http"] = true
	}
	if IsLoopback(gatewayURL) { // a camsource on this machine refuses to send to itself unless it may
		g["allow-loopback"] = true
	}
	b, _ := json.Marshal(map[string]any{"gateway": g}) // strings and bools only
	return string(b)
}

// IsLoopback says that the gateway at gatewayURL is reached from this machine alone.
func IsLoopback(gatewayURL string) bool {
	u, err := url.Parse(gatewayURL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
