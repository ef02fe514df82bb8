package videoserver

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/stream"
)

// httptest's servers all show the same certificate, which no authority has signed.
func TestSharedCertificateIsTrustedAndAStrangersIsNot(t *testing.T) {
	h, err := NewHandler(newFakeServer(), token, quiet)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	_, _, other := pair(t, false)
	for _, c := range []struct {
		name, host string
		trust      *tls.Config
		want       string
	}{
		{"the shared one", "127.0.0.1", TrustShared(server.Certificate()), "does not know this stream"},
		{"the shared one by another name", "localhost", TrustShared(server.Certificate()), "does not know this stream"},
		{"a stranger's at an address", "127.0.0.1", TrustShared(nil), errName.Error()},
		{"a stranger's by name", "localhost", TrustShared(nil), "x509: "},
	} {
		by := NewHTTPClient(c.trust)
		client, err := NewClient(strings.Replace(server.URL, "127.0.0.1", c.host, 1), token, by)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Captured(t.Context(), "a", netip.Addr{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		by.CloseIdleConnections()
	}
	// Plain http stays possible: on a private network.
	client, err := NewClient(other.URL, token, NewHTTPClient(TrustShared(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Captured(t.Context(), "a", netip.Addr{}); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("over http: %v", err)
	}
}
