// The forms that text can have: addresses, names, keys, certificates.

package config

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// A form is a kind of text.
type form struct {
	hint  string // stands for it in help
	words string // what is right, behind "must be"
	quiet bool   // an error does not repeat the value: it may be secret, long or full of control characters

	check func(string) error // errForm, or an error that says more than the words
}

var errForm = errors.New("not of this form")

var (
	cameraForm = form{
		hint: "CAMERA", words: "one line of at most 255 bytes", quiet: true, check: matches(isLine),
	}
	keyForm = form{
		hint: "KEY", words: "at most 1024 bytes without spaces or control characters", quiet: true,
		check: matches(isKey),
	}
	urlForm      = form{hint: "URL", words: "a URL such as https://gateway.example/api", check: checkURL}
	hostPortForm = form{hint: "HOST:PORT", words: "HOST:PORT, such as 192.168.1.5:5004", check: matches(isHostPort)}
	hostForm     = form{hint: "HOST", words: "a host name or an address", check: matches(isHost)}
	receiverForm = form{
		hint: "RECEIVER", words: "an address, a range such as 10.0.0.0/8, or a host name", check: matches(isReceiver),
	}
	pemForm = form{
		hint: "PEM", words: `PEM text: "-----BEGIN CERTIFICATE-----\n…"`, quiet: true, check: checkPEM,
	}
)

var (
	bcryptForm = form{
		hint: "HASH", quiet: true, check: matches(isBcrypt),
		words: `a bcrypt hash of cost 8 to 14, such as "$2y$10$" with 53 characters behind it`,
	}
	tlsKeyForm = form{
		hint: "PEM", words: `PEM text: "-----BEGIN PRIVATE KEY-----\n…"`, quiet: true, check: checkPrivateKey,
	}
	updateKeyForm = form{
		hint: "KEY", words: `a minisign public key: 56 characters that begin with "RW"`, check: matches(isMinisignKey),
	}
)

func matches(ok func(string) bool) func(string) error {
	return func(s string) error {
		if !ok(s) {
			return errForm
		}
		return nil
	}
}

// isLine keeps control characters out of names that end up in logs and calls.
func isLine(s string) bool {
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func isKey(s string) bool {
	return len(s) <= 1024 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func checkURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err == nil && u.Hostname() != "" && u.User == nil && (u.Scheme == "http" || u.Scheme == "https"):
		return nil
	case strings.Contains(s, "@"): // not repeated; the URL is logged and may be in an image
		return errors.New("must be a URL such as https://gateway.example/api, " +
			"without user name and password: the key is the secret")
	}
	return errForm
}

func isHostPort(s string) bool {
	if s == "" {
		return true
	}
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	return err == nil && portErr == nil && n != 0 && host != "" && isLine(s) && canBeSentTo(host)
}

// canBeSentTo finds hosts that no lookup will ever mend: 0.0.0.0 and ::, and what was meant to be an
// address of IPv4, such as 192.168.1.256.
func canBeSentTo(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return !a.Unmap().IsUnspecified()
	}
	return strings.ContainsFunc(host, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
}

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	odd := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !(letter || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	return s != "" && len(s) <= 253 && s[0] != '-' && !strings.ContainsFunc(s, odd)
}

func isReceiver(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	return !strings.Contains(s, "/") && isHost(s)
}

func checkPEM(s string) error {
	if s == "" {
		return nil
	}
	found := false
	for rest := []byte(s); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return errors.New("holds a PEM block that is not a certificate")
		}
		found = true
	}
	if !found {
		return errForm
	}
	return nil
}

// isBcrypt takes the costs that a board can bear: 14 is a second on a PC and half a minute on a BeagleBone.
func isBcrypt(s string) bool {
	if s == "" {
		return true
	}
	odd := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !(letter || r >= '0' && r <= '9' || r == '.' || r == '/')
	}
	if len(s) != 60 || s[:2] != "$2" || !strings.ContainsRune("aby", rune(s[2])) || s[3] != '$' || s[6] != '$' {
		return false
	}
	cost, err := strconv.ParseUint(s[4:6], 10, 8)
	return err == nil && cost >= 8 && cost <= 14 && !strings.ContainsFunc(s[7:], odd)
}

// checkPrivateKey takes one key in any of the forms that TLS libraries write.
func checkPrivateKey(s string) error {
	if s == "" {
		return nil
	}
	for rest := []byte(s); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return errForm
		}
		switch block.Type {
		case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
			return nil
		case "EC PARAMETERS": // openssl writes them in front
		case "ENCRYPTED PRIVATE KEY":
			return errors.New("is encrypted: nobody can type its password on a board")
		default:
			return errors.New("holds a PEM block that is not a private key")
		}
	}
}

// isMinisignKey knows the text of a public key: base64 of "Ed", 8 bytes of number, 32 of key.
func isMinisignKey(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 42 && string(b[:2]) == "Ed"
}
