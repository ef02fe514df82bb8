// What keeps TLS from working, in an owner's words. Most of it is about certificates, and about a
// certificate of which only the board's clock thinks ill.

package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of TLS to branch on; what is wrong with a certificate is a CertificateError.
var (
	ErrNotTLS = errors.New("the gateway's port does not speak TLS: " +
		"correct the port in gateway.url, or write http there")
	ErrHandshake = errors.New("the gateway breaks off the TLS handshake: krazycam needs TLS 1.2 or newer")
)

// A CertificateError is a gateway's certificate that is not taken.
type CertificateError struct {
	Words string    // what is wrong, and who can mend it
	Clock time.Time // what this board's clock reads, if the fault may be the clock's alone; else zero
	Err   error     // TLS's own
}

// Error has the words and TLS's own.
func (e *CertificateError) Error() string { return fmt.Sprintf("%s: %v", e.Words, e.Err) }

// Unwrap gives TLS's own error.
func (e *CertificateError) Unwrap() error { return e.Err }

// errBrokenOff marks an error of a handshake that began and did not end well.
var errBrokenOff = errors.New("TLS handshake")

// explainTLS says what kept TLS from working; nil if err is about something else.
func (c *Client) explainTLS(err error) error {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch why := c.explainCertificate(err); {
	case why != nil:
		return why
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: %w", ErrNotTLS, err)
	case !c.secure:
		// A TLS server sends an alert when it gets HTTP: record type 21, version 3.x.
		if strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`) {
			return fmt.Errorf("%w: %w", ErrWantsTLS, err)
		}
		return nil
	case errors.Is(err, errBrokenOff), errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return nil
}

// explainCertificate says what is wrong with the gateway's certificate; nil if nothing is.
func (c *Client) explainCertificate(err error) error {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return c.explainDates(invalid)
	case errors.As(err, &name):
		return &CertificateError{Err: name,
			Words: "the gateway's certificate is for another name: gateway.url needs one that it has"}
	case errors.As(err, &authority):
		words := "no public authority signed the gateway's certificate: put that which did into gateway.ca"
		if c.config.CA != "" {
			words = "the gateway's certificate is not signed by the authority in gateway.ca: correct one of them"
		}
		return &CertificateError{Err: authority, Words: words}
	case errors.As(err, &verification):
		return &CertificateError{Err: verification.Err,
			Words: "the gateway's certificate is not valid: its operator must mend it"}
	}
	return nil
}

// explainDates tells a certificate that is out of date from a clock that is. A certificate from
// the future means that the clock is behind: a board's clock starts at its build time at the
// earliest, and a gateway's certificate may be younger. One from the past is blamed on the clock
// alone only if that is before the build, which cannot be.
func (c *Client) explainDates(invalid x509.CertificateInvalidError) error {
	const minute = "2006-01-02 15:04 MST"
	now, cert := c.config.Now(), invalid.Cert
	set := c.config.ClockSet != nil && c.config.ClockSet()
	clock := now.UTC().Format(minute)
	future := now.Before(cert.NotBefore)
	if now.Before(c.config.Built) || now.Year() < 2025 || future && !set {
		return &CertificateError{Clock: now, Err: invalid, Words: fmt.Sprintf("this board's clock reads %s "+
			"and is probably not set, so the gateway's certificate seems out of date: "+
			"check time.ntp and the network", clock)}
	}
	how := "was set by a time server"
	if !set {
		how = "may be wrong, for no time server has set it"
	}
	e := &CertificateError{Err: invalid}
	if !set {
		e.Clock = now
	}
	if future {
		e.Words = fmt.Sprintf("the gateway's certificate is not valid before %s; this board's clock reads %s and %s",
			cert.NotBefore.UTC().Format(minute), clock, how)
	} else {
		e.Words = fmt.Sprintf("the gateway's certificate has expired on %s; this board's clock reads %s and %s",
			cert.NotAfter.UTC().Format(minute), clock, how)
	}
	return e
}
