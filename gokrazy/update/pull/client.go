// The HTTP client: https only, no proxy, no cookies, few redirects.

package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"

	"github.com/krazycam/krazycam/firmware/destination"
)

const (
	maxRedirects = 5
	// maxHeader is far above what a server of files answers with.
	maxHeader = 64 << 10
)

// newClient is for one Fetch.
func newClient(job Job) *http.Client {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if job.TLS != nil {
		conf = job.TLS.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	}
	dial := job.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: job.Limits.Stall, ControlContext: refuseOwn}).DialContext
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // whoever sets the environment must not come between
			DialContext:            dial,
			TLSClientConfig:        conf,
			TLSHandshakeTimeout:    job.Limits.Stall,
			ResponseHeaderTimeout:  job.Limits.Stall,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // ranges count the bytes of the file
			// HTTP/1.1 does.
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return fmt.Errorf("%w: more than %d redirects", ErrServer, maxRedirects)
			case next.URL.Scheme != "https" || next.URL.User != nil:
				return fmt.Errorf("%w: it redirects to what is no https", ErrServer)
			}
			next.Header.Del("Referer") // which has the query: a secret that another server must not learn
			return nil
		},
	}
}

// refuseOwn keeps a foreign server from having the board talk to itself or to its link's routers. It sees
// the address to which a name has led, whatever that was looked up to before.
func refuseOwn(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	local, err := destination.Local()
	if err != nil { // without knowing ourselves we cannot keep away from ourselves
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	ip := at.Addr().Unmap().WithZone("")
	if destination.IsOurs(ip, local) {
		return fmt.Errorf("%w: %s is this machine itself", ErrAddress, ip)
	}
	if d := destination.FindDanger(ip, local); d.What != "" {
		return fmt.Errorf("%w: %s is %s", ErrAddress, ip, d.What)
	}
	return nil
}

// withoutURL is an error of http.Client without the URL that it quotes.
func withoutURL(err error) error {
	var quoted *url.Error
	if errors.As(err, &quoted) {
		return quoted.Err
	}
	return err
}
