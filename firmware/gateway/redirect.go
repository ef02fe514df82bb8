// Where gateway.url redirects to on its own server, and for how long that is believed.
// Spec: RFC 9110 sections 15.4.2, 15.4.3, 15.4.8 and 15.4.9.

package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// redirectsMax ends a loop: no server needs more than a path, its slash and a new version.
const redirectsMax = 3

// A redirect is another path of the gateway's server. It is not changed once it is stored.
type redirect struct {
	to        *url.URL
	count     int  // redirects that led here
	permanent bool // all of them
	proven    bool // an answer of the protocol came from there
}

// target is where the next request goes, and the redirect that says so; nil: gateway.url does.
func (c *Client) target() (*url.URL, *redirect) {
	if via := c.redirect.Load(); via != nil {
		return via.to, via
	}
	to, _ := url.Parse(c.config.URL) // NewClient has parsed it
	return to, nil
}

// takeRedirect keeps where got sends us for the next request, if the key may go there.
func (c *Client) takeRedirect(asked *url.URL, via *redirect, got response) error {
	to := pathOnSameServer(asked, got)
	if to == nil {
		c.redirect.Store(nil)
		return nil
	}
	next := &redirect{to: to, count: 1, permanent: isPermanent(got.status)}
	if via != nil {
		next.count, next.permanent = via.count+1, next.permanent && via.permanent
	}
	if next.count > redirectsMax {
		c.redirect.Store(nil)
		return fmt.Errorf("%w: %d redirects, the last to %q", ErrBadAnswer, next.count, wire.Printable(to.String()))
	}
	c.redirect.Store(next)
	return fmt.Errorf("%w: HTTP %d to %q", ErrMoved, got.status, wire.Printable(to.String()))
}

// judgeRedirect forgets a redirect that leads to no gateway: what was sent to a page of
// maintenance must find back. While a connection fails nothing is known about a path that has
// proved itself, so that is kept.
func (c *Client) judgeRedirect(via *redirect, answered, protocol bool) {
	switch {
	case via == nil || protocol && via.proven:
	case protocol:
		proven := *via
		proven.proven = true
		c.redirect.CompareAndSwap(via, &proven)
	case answered || !via.proven:
		c.redirect.CompareAndSwap(via, nil)
	}
}

// forgetTemporary: the next stream asks gateway.url itself again (RFC 9110 section 15.4.8).
func (c *Client) forgetTemporary() {
	if via := c.redirect.Load(); via != nil && !via.permanent {
		c.redirect.CompareAndSwap(via, nil)
	}
}

func isPermanent(status int) bool {
	return status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect
}

// pathOnSameServer is where a redirect leads, if that is the server that was asked: it has the key
// already. nil: it is another one, or r is no redirect for a POST.
func pathOnSameServer(asked *url.URL, r response) *url.URL {
	if !isPermanent(r.status) && r.status != http.StatusFound && r.status != http.StatusTemporaryRedirect {
		return nil
	}
	location := r.header.Get("Location")
	to, err := asked.Parse(location)
	if err != nil || location == "" || to.User != nil || to.Scheme != asked.Scheme ||
		!strings.EqualFold(to.Hostname(), asked.Hostname()) || portOf(to) != portOf(asked) {
		return nil
	}
	to.Host = asked.Host // as the owner wrote it
	to.Fragment, to.RawFragment = "", ""
	return to
}

// portOf is the port that a request for u goes to.
func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
