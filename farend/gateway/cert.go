// A certificate of our own, for a gateway on the desk that is asked over https.

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// The files in the state directory. The certificate is its own CA: its text goes into a
// board's gateway.ca.
const (
	certFile = "gateway-cert.pem"
	keyFile  = "gateway-key.pem"
)

// CertificatePath is where SelfSigned keeps what a board must trust.
func CertificatePath(dir string) string { return filepath.Join(dir, certFile) }

// MaxPEM is the longest file of certificates or a key that is read: a chain has a few kB.
const MaxPEM = 256 << 10

// LoadPair reads a certificate and its key, which other users must not be able to read.
func LoadPair(certPath, keyPath string) (tls.Certificate, error) {
	return readPair(certPath, keyPath, openfile.ReadSecret)
}

func readPair(certPath, keyPath string, readKey func(string, int64) ([]byte, error)) (tls.Certificate, error) {
	certPEM, err := openfile.Read(certPath, MaxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readKey(keyPath, MaxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		err = fmt.Errorf("%s, %s: %w", certPath, keyPath, err)
	}
	return pair, err
}

// SelfSigned loads the certificate in dir, or makes one for the hosts (names and addresses).
// One that exists is kept, whatever hosts says: boards have pinned it. log is told if other users can
// read its key, since dir may be where modes do not hold.
func SelfSigned(dir string, hosts []string, now time.Time, log *slog.Logger) (tls.Certificate, error) {
	certPath, keyPath := CertificatePath(dir), filepath.Join(dir, keyFile)
	pair, err := loadOwnPair(certPath, keyPath, log)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return pair, fmt.Errorf("certificate: %w", err)
		}
		return pair, nil
	}
	if _, err := os.Stat(certPath); err == nil {
		return pair, fmt.Errorf("certificate: %s has lost its key %s: remove it to make a new one", certPath, keyPath)
	}
	certPEM, keyPEM, err := MakeCertificate(hosts, now)
	if err != nil {
		return pair, fmt.Errorf("certificate: make: %w", err)
	}
	if err := atomicfile.Replace(keyPath, 0o600, atomicfile.Bytes(keyPEM)); err != nil {
		return pair, fmt.Errorf("certificate: %w", err)
	}
	if err := atomicfile.Replace(certPath, 0o644, atomicfile.Bytes(certPEM)); err != nil {
		return pair, fmt.Errorf("certificate: %w", err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func loadOwnPair(certPath, keyPath string, log *slog.Logger) (tls.Certificate, error) {
	return readPair(certPath, keyPath, func(path string, limit int64) ([]byte, error) {
		b, exposed, err := openfile.ReadOwnSecret(path, limit)
		if exposed {
			log.Warn("certificate: other users can read its key", "file", path)
		}
		return b, err
	})
}

// MakeCertificate makes a certificate for the hosts (names and addresses), which is its own CA, and its key.
func MakeCertificate(hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "krazycam receive"},
		// A board without a set clock lives in 1970, or in the year of its build.
		NotBefore:             time.Unix(0, 0),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
