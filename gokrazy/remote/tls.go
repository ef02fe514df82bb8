// TLS to a board: a certificate is known by its fingerprint.

package remote

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/krazycam/krazycam/gokrazy/certificate"
)

// pinned is TLS to whoever has the certificate's key. "" is nobody.
func pinned(fingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // names, dates and authorities do not count: VerifyConnection decides
		NextProtos:         []string{"http/1.1"},
		VerifyConnection: func(state tls.ConnectionState) error {
			if got := certificate.Fingerprint(state.PeerCertificates[0].Raw); got != fingerprint {
				return fmt.Errorf("%w: it is %s, known is %s", ErrFingerprint, got, fingerprint)
			}
			return nil
		},
	}
}

// FetchFingerprint asks a board which certificate it shows. Nothing is sent to it, and whether it is
// the right board only its owner can say: the console and the board's status show the same digits.
func FetchFingerprint(ctx context.Context, host string) (string, error) {
	var seen string
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // it is what is asked
			VerifyConnection: func(state tls.ConnectionState) error {
				seen = certificate.Fingerprint(state.PeerCertificates[0].Raw)
				return nil
			},
		},
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", withPort(host))
	if err != nil {
		return "", fmt.Errorf("%s: %w", host, err)
	}
	_ = conn.Close() // nothing was written
	return seen, nil
}
