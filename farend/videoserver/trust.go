// Whose https a gateway trusts. Test it with httptest.

package videoserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

var errName = errors.New("the certificate of an address is trusted only if it is the shared one: use a host name")

// TrustShared is for calls to servers that show one shared certificate, whatever they are called, and to
// those of others, whose certificates are trusted as a browser does.
func TrustShared(shared *x509.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			shown := s.PeerCertificates[0] // a server always shows one (RFC 8446 section 4.4.2)
			if shown.Equal(shared) {
				return nil
			}
			if s.ServerName == "" {
				return errName
			}
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := shown.Verify(x509.VerifyOptions{DNSName: s.ServerName, Intermediates: between})
			return err
		},
	}
}
