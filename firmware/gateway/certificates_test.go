// Real TLS servers with certificates made for each case, and clocks that are wrong.

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
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An authority signs certificates of gateways.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, from, to time.Time) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{sign(t, template, template, key, key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// issue makes a server's certificate for 127.0.0.1; change makes it a bad one.
func (a authority) issue(t *testing.T, from, to time.Time, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, template, a.cert, key, a.key).Raw}, PrivateKey: key}
}

// startTLS serves good answers with c.
func startTLS(t *testing.T, c *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok": "stream stopped successfully"}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = c
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestCertificatesThatAreNotTakenAreExplained(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	ours, other := newAuthority(t, day(-3650), day(3650)), newAuthority(t, day(-3650), day(3650))
	built := day(-100)
	set, unset := func() bool { return true }, func() bool { return false }
	for _, c := range []struct {
		name     string
		cert     tls.Certificate
		ca       string
		now      time.Time
		clockSet func() bool
		want     []string // nothing: it is taken
		clock    bool     // it may be the clock's fault
	}{
		{"a good one", ours.issue(t, day(-1), day(90), nil), ours.pem(), day(0), set, nil, false},
		{"a good one, and a clock that nobody set", ours.issue(t, day(-1), day(90), nil), ours.pem(), day(0), unset,
			nil, false},
		{"of an authority that nobody knows", ours.issue(t, day(-1), day(90), nil), "", day(0), set,
			[]string{"no public authority signed the gateway's certificate", "gateway.ca"}, false},
		{"of another authority", ours.issue(t, day(-1), day(90), nil), other.pem(), day(0), set,
			[]string{"is not signed by the authority in gateway.ca"}, false},
		{"for another address", ours.issue(t, day(-1), day(90), func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 7)}
		}), ours.pem(), day(0), set, []string{"for another name", "10.0.0.7", "127.0.0.1"}, false},
		{"for a name", ours.issue(t, day(-1), day(90), func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"gateway.example"}
		}), ours.pem(), day(0), set, []string{"for another name", "127.0.0.1"}, false},
		{"expired", ours.issue(t, day(-90), day(-2), nil), ours.pem(), day(0), set,
			[]string{"has expired on 2026-11-26 12:00 UTC",
				"clock reads 2026-11-28 12:00 UTC and was set by a time server"}, false},
		{"expired, and a clock that nobody set", ours.issue(t, day(-90), day(-2), nil), ours.pem(), day(0), unset,
			[]string{"has expired on 2026-11-26 12:00 UTC", "clock reads 2026-11-28 12:00 UTC and may be wrong",
				"no time server"}, true},
		{"not yet valid", ours.issue(t, day(2), day(90), nil), ours.pem(), day(0), set,
			[]string{"is not valid before 2026-11-30 12:00 UTC", "was set by a time server"}, false},
		{"not yet valid, and a clock that nobody set", ours.issue(t, day(2), day(90), nil), ours.pem(), day(0), unset,
			[]string{"this board's clock reads 2026-11-28 12:00 UTC and is probably not set", "time.ntp"}, true},
		{"a clock of 1970", ours.issue(t, day(-1), day(90), nil), ours.pem(), time.Unix(60, 0), unset,
			[]string{"this board's clock reads 1970-01-01 00:01 UTC and is probably not set"}, true},
		{"a clock from before the build, though somebody set it", ours.issue(t, day(-1), day(90), nil), ours.pem(),
			built.AddDate(0, 0, -1), set, []string{"is probably not set"}, true},
		{"for clients", ours.issue(t, day(-1), day(90), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), ours.pem(), day(0), set, []string{
			"the gateway's certificate is not valid: its operator must mend it"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, ClientConfig{
				URL: startTLS(t, &tls.Config{Certificates: []tls.Certificate{c.cert}}), CA: c.ca, Built: built,
				Now: func() time.Time { return c.now }, ClockSet: c.clockSet,
			})
			err := client.StopStream(t.Context(), wire.TextID("x"))
			if (err == nil) != (c.want == nil) {
				t.Fatalf("StopStream = %v", err)
			}
			for _, words := range c.want {
				if !strings.Contains(Explain(err), words) {
					t.Errorf("Explain = %q, want %q in it", Explain(err), words)
				}
			}
			var why *CertificateError
			if errors.As(err, &why) && why.Clock.IsZero() == c.clock {
				t.Errorf("%+v: the clock's fault? want %v", why, c.clock)
			}
		})
	}
}

// answerOnce writes b to each connection once something came, and closes it.
func answerOnce(t *testing.T, b string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, b)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestServersThatDoNotSpeakTLSAsWeDoAreExplained(t *testing.T) {
	ours := newAuthority(t, time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0))
	cert := ours.issue(t, time.Now().AddDate(-1, 0, 0), time.Now().AddDate(1, 0, 0), nil)
	with := func(c *tls.Config) string {
		c.Certificates = []tls.Certificate{cert}
		return startTLS(t, c)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	const nginx = "HTTP/1.1 400 Bad Request\r\nContent-Length: 66\r\n\r\n" +
		"<html><h1>The plain HTTP request was sent to HTTPS port</h1></html>"
	for _, c := range []struct {
		name, url string
		want      error
	}{
		{"http where we want https", "https" + strings.TrimPrefix(plain.URL, "http"), ErrNotTLS},
		{"SSH where we want https", "https://" + answerOnce(t, "SSH-2.0-OpenSSH_9.2\r\n"), ErrNotTLS},
		{"nothing where we want https", "https://" + answerOnce(t, ""), ErrHandshake},
		{"TLS 1.1", with(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), ErrHandshake},
		{"a client's certificate wanted", with(&tls.Config{ClientAuth: tls.RequireAnyClientCert}), ErrHandshake},
		{"Go's https where we want http", "http" + strings.TrimPrefix(with(&tls.Config{}), "https"), ErrWantsTLS},
		{"nginx's https where we want http", "http://" + answerOnce(t, nginx), ErrWantsTLS},
		{"an alert where we want http", "http://" + answerOnce(t, "\x15\x03\x01\x00\x02\x02\x16"), ErrWantsTLS},
		{"SSH where we want http", "http://" + answerOnce(t, "SSH-2.0-OpenSSH_9.2\r\n"), ErrBadAnswer},
		{"nothing where we want http", "http://" + answerOnce(t, ""), ErrBadAnswer},
	} {
		err := newClient(t, ClientConfig{URL: c.url, CA: ours.pem()}).StopStream(t.Context(), wire.ID{})
		if !errors.Is(err, c.want) || Explain(err) != c.want.Error() {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// pemOf is what a client of the test server s trusts.
func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
