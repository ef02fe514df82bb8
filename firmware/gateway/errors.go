// What can go wrong besides a refusal, in an owner's words. What TLS says is in certificates.go.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Errors to branch on, beside wire.ErrKeys; all wrap their cause.
var (
	ErrConfig    = errors.New("gateway: not configured rightly")
	ErrPlainHTTP = errors.New("gateway.url is plain http and would show the API key to everyone on the way: " +
		"use https, or set gateway.allow-http")
	ErrSilent      = errors.New("the gateway does not answer")
	ErrUnreachable = errors.New("the gateway cannot be reached")
	ErrRedirect    = errors.New("the gateway sends us elsewhere, where the API key will not go: " +
		"put the new address into gateway.url if it is right")
	ErrMoved = errors.New("the gateway's server has another path for us, which is taken from now on: " +
		"put it into gateway.url")
	ErrBadAnswer = errors.New("what answers is not a gateway (no JSON of the protocol): is gateway.url right?")
	ErrPage      = errors.New("a web page answers instead of a gateway: " +
		"the login page of this network, or gateway.url is wrong")
	ErrProxy = errors.New("a web server answers, but the gateway behind it does not: " +
		"it is down, starting or overloaded")
	ErrWantsTLS    = errors.New("the gateway's port wants TLS: gateway.url must begin with https")
	ErrDestination = errors.New("the gateway names a receiver that is not allowed")
	ErrElsewhere   = errors.New("another source holds the stream: stop it there or at the gateway")
	ErrNoKeys      = errors.New("stream.encryption is required, but the gateway gave no keys: " +
		"they travel over https only, and the gateway must know SRTP")
	ErrUncaptured = errors.New("the video server does not capture our stream")
)

// sortError says which of our errors one of net/http is. ctx is the caller's: if that ended, the
// request was given up and nothing is the gateway's fault.
func (c *Client) sortError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	if why := c.explainTLS(err); why != nil {
		return why
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the answer breaks off: %w", ErrBadAnswer, err)
	case isForeign(err):
		return fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// isForeign says that something answered that is not HTTP, or not as Go reads it. net/http has no
// names for these errors.
func isForeign(err error) bool {
	for _, words := range []string{
		"malformed", "exceeded", "failed to parse Location", "unsupported transfer encoding",
		"bad Content-Length", "invalid header", "gzip: ", "flate: ", "too many 1xx", "unexpected EOF",
	} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// Explain says in an owner's words what err means, for a status page: what is wrong and,
// where that is known, who can mend it.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	var refusal *wire.Refusal
	if errors.As(err, &refusal) && !errors.Is(err, ErrElsewhere) {
		return fmt.Sprintf("%s (%d)", wire.ExplainCode(refusal.Code), refusal.Code)
	}
	var certificate *CertificateError
	if errors.As(err, &certificate) {
		return certificate.Error()
	}
	for _, plain := range []error{
		ErrPlainHTTP, ErrNotTLS, ErrWantsTLS, ErrHandshake, ErrPage, ErrProxy,
		ErrSilent, ErrUnreachable, ErrRedirect, ErrMoved, ErrBadAnswer, ErrElsewhere, ErrNoKeys, ErrUncaptured,
	} {
		if errors.Is(err, plain) {
			return plain.Error()
		}
	}
	return err.Error()
}
