// The receiver's host in the gateway's words.

package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// receiverHost takes a host name or an address, either with a port, or a URL whose host is
// meant, and gives the host alone.
func receiverHost(s string) (string, error) {
	s = strings.TrimSpace(s)
	host := s
	switch {
	case isAddr(s): // before all else: a bare IPv6 address is full of colons
	case strings.Contains(s, "//"):
		u, err := url.Parse(s)
		if err != nil {
			return "", fmt.Errorf("url %.60q: cannot be read", wire.Printable(s))
		}
		host = u.Hostname()
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		host = s[1 : len(s)-1]
	default:
		host, _, _ = strings.Cut(s, "/")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	if !isAddr(host) && !isHostName(host) {
		return "", fmt.Errorf("url %.60q names no host", wire.Printable(s))
	}
	return host, nil
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// hostNameChars are all that a host name can hold; some names have underscores in them.
const hostNameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// isHostName keeps everything else away from a resolver.
func isHostName(s string) bool {
	return s != "" && len(s) <= 253 && s[0] != '-' && s[0] != '.' && strings.Trim(s, hostNameChars) == ""
}
