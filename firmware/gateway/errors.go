// What can go wrong besides a refusal, in an owner's words.

package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

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
	ErrBadAnswer   = errors.New("what answers is not a gateway (no JSON of the protocol): is gateway.url right?")
	ErrDestination = errors.New("the gateway names a receiver that is not allowed")
	ErrElsewhere   = errors.New("another source holds the stream: stop it there or at the gateway")
	ErrNoKeys      = errors.New("stream.encryption is required, but the gateway gave no keys: " +
		"they travel over https only, and the gateway must know SRTP")
	ErrUncaptured = errors.New("the video server does not capture our stream")
)

// A ClockError is a TLS failure that comes from our clock, not from the gateway.
type ClockError struct {
	Clock time.Time // what our clock reads
	Err   error
}

// Error names the clock's reading.
func (e *ClockError) Error() string {
	return fmt.Sprintf("this board's clock reads %s and is probably not set, so the gateway's certificate "+
		"seems out of date: check time.ntp and the network: %v",
		e.Clock.UTC().Format("2006-01-02 15:04 MST"), e.Err)
}

// Unwrap gives TLS's own error.
func (e *ClockError) Unwrap() error { return e.Err }

// findClockError finds out whether a certificate was refused because of our clock; nil if
// not. A certificate from the future means that the clock is behind: a board's clock starts
// at its build time at the earliest, and a gateway's certificate may be younger. One from the
// past is blamed on the clock only if that is before the build, which cannot be.
func findClockError(err error, now, built time.Time) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired || invalid.Cert == nil {
		return nil
	}
	if now.Before(invalid.Cert.NotBefore) || now.Before(built) || now.Year() < 2025 {
		return &ClockError{Clock: now, Err: err}
	}
	return nil
}

// sortNetworkError says which of our errors one of net/http is. ctx is the caller's: if that
// ended, the request was given up and nothing is the gateway's fault.
func sortNetworkError(ctx context.Context, err error, now, built time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if clock := findClockError(err, now, built); clock != nil {
		return clock
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w", ErrSilent, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the answer breaks off: %w", ErrBadAnswer, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
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
	var clock *ClockError
	if errors.As(err, &clock) {
		return clock.Error()
	}
	for _, plain := range []error{
		ErrPlainHTTP, ErrSilent, ErrUnreachable, ErrRedirect, ErrBadAnswer, ErrElsewhere, ErrNoKeys,
	} {
		if errors.Is(err, plain) {
			return plain.Error()
		}
	}
	return err.Error()
}
