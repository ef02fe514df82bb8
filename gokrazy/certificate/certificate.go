// Package certificate is the key and the certificate of a board's HTTPS: made by camctl flash for a
// card, or by the board itself at its first start, and known by its fingerprint.
//
// Nobody signs a board's certificate but the board. Whoever asks it pins the fingerprint: the SHA-256
// of the certificate as it travels, in hexadecimal digits, the same as
// `openssl x509 -noout -fingerprint -sha256` without the colons. So the names and the dates in it
// say nothing, and it does not run out: a board's clock may be wrong.
//
// The package owns nothing between two calls. Source: RFC 5280 section 4.1.2.5 (a certificate without
// a well-defined end: 99991231235959Z).
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// A Pair is a certificate and its private key, both as PEM. The key is a secret.
type Pair struct {
	Certificate, Key string
}

// Make makes a pair: ECDSA with P-256, which every TLS client knows and a Pi signs with in 1 ms.
func Make() (Pair, error) {
	pair, err := makePair()
	if err != nil {
		return Pair{}, fmt.Errorf("make a TLS key: %w", err)
	}
	return pair, nil
}

func makePair() (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "krazycam"},
		DNSNames:              []string{"krazycam", "krazycam.local"},
		NotBefore:             time.Unix(0, 0), // a board without a clock lives in 1970
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	}, nil
}

// TLS gives the pair to a server. The error says what does not fit, and never the key.
func (p Pair) TLS() (tls.Certificate, error) {
	c, err := tls.X509KeyPair([]byte(p.Certificate), []byte(p.Key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("TLS key and certificate do not fit: %w", err)
	}
	return c, nil
}

// Fingerprint is that of the pair's certificate.
func (p Pair) Fingerprint() (string, error) {
	block, _ := pem.Decode([]byte(p.Certificate))
	if block == nil || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("TLS certificate: not PEM")
	}
	return Fingerprint(block.Bytes), nil
}

// Fingerprint is that of a certificate as it travels (DER).
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// ParseFingerprint takes what a person copies: with colons or without, in capitals or not, with
// openssl's "sha256 Fingerprint=" in front.
func ParseFingerprint(s string) (string, error) {
	digits := strings.ToLower(strings.TrimSpace(s))
	if i := strings.LastIndex(digits, "="); i >= 0 {
		digits = digits[i+1:]
	}
	digits = strings.TrimPrefix(digits, "sha256:")
	digits = strings.NewReplacer(":", "", " ", "").Replace(digits)
	if b, err := hex.DecodeString(digits); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("fingerprint %.100q: must be the %d hexadecimal digits of a SHA-256", s, 2*sha256.Size)
	}
	return digits, nil
}
