package videoserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// pair is a fake server behind a Handler, and a Client that calls it.
func pair(t *testing.T, secure bool) (*fakeServer, *Client, *httptest.Server) {
	t.Helper()
	f := newFakeServer()
	h, err := NewHandler(f, token, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	var config *tls.Config
	if secure {
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		config = &tls.Config{RootCAs: roots}
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	by := NewHTTPClient(config)
	t.Cleanup(by.CloseIdleConnections)
	c, err := NewClient(s.URL+"/", token, by)
	if err != nil {
		t.Fatal(err)
	}
	return f, c, s
}

func fullGrant() stream.Grant {
	return stream.Grant{
		ID: "4QX7ZK2M5J6W3A", Customer: 3, Source: wire.TextID("ü 1"), Asker: netip.MustParseAddr("2001:db8::7"),
		SSRC: 4294967295, Offer: []string{wire.OfferRTX, wire.OfferMux}, Width: 640, Height: 480,
		Lease: 5 * time.Minute,
		SRTP: &wire.SRTP{Profile: wire.ProfileGCM, Source: bytes.Repeat([]byte{1}, 28),
			Receiver: bytes.Repeat([]byte{2}, 28)},
	}
}

func TestCallsArriveAsTheyWereMade(t *testing.T) {
	for _, secure := range []bool{false, true} {
		f, c, _ := pair(t, secure)
		f.place = stream.Place{
			Host: "v1.example", RTPPort: 5004, RTCPPort: 5004, RTX: true, Transport: 5, CaptureTime: 4,
		}
		f.verdict = stream.Verdict{Code: 2, Words: "no key frame"}
		g := fullGrant()
		place, err := c.Begin(t.Context(), g)
		if err != nil || place != f.place || !reflect.DeepEqual(f.grant, g) {
			t.Errorf("Begin = %+v, %v; the server got %+v", place, err, f.grant)
		}
		v, err := c.Captured(t.Context(), g.ID, netip.MustParseAddr("198.51.100.7"))
		if err != nil || v != f.verdict || f.asker != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("Captured = %+v, %v; the server got %v", v, err, f.asker)
		}
		if err := c.End(t.Context(), g.ID, "enough"); err != nil || f.because != "enough" || f.count() != 0 {
			t.Errorf("End = %v; because %q", err, f.because)
		}
		if err := c.End(t.Context(), g.ID, "enough"); err != nil {
			t.Errorf("the second End = %v, want none", err)
		}
		_, err = c.Captured(t.Context(), g.ID, netip.Addr{})
		if !errors.Is(err, stream.ErrUnknown) || f.asker.IsValid() {
			t.Errorf("Captured after the end = %v, asker %v", err, f.asker)
		}
	}
}

func TestErrorsKeepTheirMeaningOnTheWay(t *testing.T) {
	f, c, _ := pair(t, false)
	for _, want := range []error{
		stream.ErrUnknown, stream.ErrFull, stream.ErrUnreachable, stream.ErrAmbiguous, os.ErrDeadlineExceeded,
	} {
		f.err = fmt.Errorf("receiver: port 5004: %w", want)
		g := fullGrant()
		_, beginErr := c.Begin(t.Context(), g)
		f.open[g.ID] = true
		_, capturedErr := c.Captured(t.Context(), g.ID, netip.Addr{})
		for _, got := range []error{beginErr, capturedErr} {
			if !errors.Is(got, want) || !strings.Contains(got.Error(), "port 5004") {
				t.Errorf("%v came as %v", want, got)
			}
			for _, other := range refusals {
				if other.err != want && errors.Is(got, other.err) {
					t.Errorf("%v came as %v, too", want, other.err)
				}
			}
		}
	}
	f.err = errors.New("disk full")
	if _, err := c.Begin(t.Context(), fullGrant()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Begin = %v", err)
	}
}

func TestServerThatDoesNotAnswerIsUnreachableAndNotSilent(t *testing.T) {
	stuck := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer s.Close()
	defer close(stuck)
	by := NewHTTPClient(nil)
	defer by.CloseIdleConnections()
	c, err := NewClient(s.URL, token, by)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = c.Captured(ctx, "a", netip.Addr{})
	if !errors.Is(err, stream.ErrUnreachable) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, errClosedDoor) {
		t.Errorf("Captured = %v, want only %v", err, stream.ErrUnreachable)
	}
	_, gone, closed := pair(t, false)
	closed.Close()
	if _, err := gone.Captured(t.Context(), "a", netip.Addr{}); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("Captured of a server that is gone = %v", err)
	}
}

// loseAnswers passes calls on and loses the answers to the first ones.
type loseAnswers struct {
	by   http.RoundTripper
	left int
}

func (l *loseAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := l.by.RoundTrip(r)
	if l.left--; l.left >= 0 && err == nil {
		_ = got.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return got, err
}

func TestEndIsSaidAgainWhenItsAnswerWasLost(t *testing.T) {
	f, c, _ := pair(t, false)
	f.open["a"] = true
	c.http = &http.Client{Transport: &loseAnswers{http.DefaultTransport, 1}}
	if err := c.End(t.Context(), "a", "enough"); err != nil || f.count() != 0 {
		t.Errorf("End = %v, %d open", err, f.count())
	}
	c.http = &http.Client{Transport: &loseAnswers{http.DefaultTransport, 2}}
	if err := c.End(t.Context(), "a", "enough"); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("End without an answer = %v", err)
	}
}

func TestKeysTravelOverHTTPSOrWithinAMachineOnly(t *testing.T) {
	by := NewHTTPClient(nil)
	defer by.CloseIdleConnections()
	c, err := NewClient("http://192.0.2.1:8443", token, by)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Begin(t.Context(), fullGrant()); err == nil || !strings.Contains(err.Error(), "https only") {
		t.Errorf("Begin over http = %v", err)
	}
	h, err := NewHandler(newFakeServer(), token, quiet)
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"id":"a","srtp_profile":"AEAD_AES_128_GCM","srtp_key":"","srtcp_key":""}`
	for from, want := range map[string]string{"192.0.2.1:9": "https only", "127.0.0.1:9": "srtp_key"} {
		w := serve(h, "/streams", token, body, from)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("from %s: %d %s, want %q", from, w.Code, w.Body, want)
		}
	}
}

func serve(h http.Handler, path, token, body, from string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://v1.example"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandlerRefusesWhatItCannotUse(t *testing.T) {
	f := newFakeServer()
	h, err := NewHandler(f, token, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, token, body string
		status                  int
	}{
		{"a wrong token", "/streams", token + "x", `{"id":"a"}`, 401},
		{"no token", "/streams", "", `{"id":"a"}`, 401},
		{"another path", "/stream", token, `{"id":"a"}`, 404},
		{"no JSON", "/streams", token, `<html>`, 400},
		{"a list", "/streams", token, `[]`, 400},
		{"a flood", "/streams", token, `{"id":"` + strings.Repeat("a", messageMax) + `"}`, 400},
		{"no id", "/streams", token, `{}`, 400},
		{"an id that is a path", "/streams", token, `{"id":"../a"}`, 400},
		{"an asker that is a name", "/streams", token, `{"id":"a","asker":"localhost"}`, 400},
		{"a lease of no sense", "/streams", token, `{"id":"a","lease_s":-1}`, 400},
		{"an SSRC of no sense", "/streams", token, `{"id":"a","ssrc":-1}`, 400},
		{"a profile that nobody knows", "/streams", token, `{"id":"a","srtp_profile":"F8"}`, 400},
		{"captured without a body", "/streams/a/captured", token, ``, 400},
		{"captured of nothing", "/streams/a/captured", token, `{}`, 404},
		{"the end of nothing", "/streams/a/end", token, `{}`, 200},
	} {
		if got := serve(h, c.path, c.token, c.body, "127.0.0.1:9"); got.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.Code, got.Body, c.status)
		}
	}
	if f.grant.ID != "" {
		t.Errorf("the server was given %+v", f.grant)
	}
	if _, err := NewHandler(f, "short", quiet); !errors.Is(err, ErrToken) {
		t.Errorf("NewHandler with a short token = %v", err)
	}
}

// A server that turned bad, or is another program, gives no place that a source could be sent to.
func TestClientTakesNoPlaceThatNoSourceCouldUse(t *testing.T) {
	said := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, <-said)
	}))
	defer s.Close()
	by := NewHTTPClient(nil)
	defer by.CloseIdleConnections()
	c, err := NewClient(s.URL, token, by)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		``, `<html>`, `{}`, `{"rtp_port":22,"rtcp_port":5005}`, `{"rtp_port":5004}`,
		`{"rtp_port":5004,"rtcp_port":65536}`,
		`{"rtp_port":5004,"rtcp_port":5005,"twcc":15}`, `{"rtp_port":5004,"rtcp_port":5005,"twcc":5,"ntp-64":5}`,
		`{"rtp_port":5004,"rtcp_port":5005,"twcc":300}`,
		strings.Repeat(" ", messageMax) + `{"rtp_port":5004,"rtcp_port":5005}`,
	} {
		said <- body
		if place, err := c.Begin(t.Context(), stream.Grant{ID: "a"}); err == nil {
			t.Errorf("%.60s: Begin = %+v", body, place)
		}
	}
	said <- `{"words":"captured"}`
	if _, err := c.Captured(t.Context(), "a", netip.Addr{}); err == nil {
		t.Error("a verdict without a code was taken for 0")
	}
}

func TestClientFollowsNoRedirectWithItsToken(t *testing.T) {
	var got string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
	}))
	defer other.Close()
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	by := NewHTTPClient(nil)
	defer by.CloseIdleConnections()
	c, err := NewClient(s.URL, token, by)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.End(t.Context(), "a", ""); err == nil || got != "" {
		t.Errorf("End = %v; the other server got %q", err, got)
	}
}

func TestControlIsAURLThatCanBeCalled(t *testing.T) {
	for control, good := range map[string]bool{
		"http://192.0.2.1:8443": true, "https://v1.example/api/": true, "": false, "v1.example:8443": false,
		"ftp://v1.example": false, "https://user:secret@v1.example": false, "https://v1.example/?a=b": false,
		"https://v1.example/#a": false, "https://": false, "https://" + strings.Repeat("a", urlMax): false,
	} {
		if _, err := NewClient(control, token, nil); (err == nil) != good {
			t.Errorf("%.60q: %v, want good %v", control, err, good)
		}
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("/streams", `{"id":"a","asker":"192.0.2.1","source":5,"offer":["rtx"],"lease_s":60}`)
	f.Add("/streams/a/captured", `{"asker":"::1"}`)
	f.Add("/streams/a/end", `{"because":"x"}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		s := newFakeServer()
		h, err := NewHandler(s, token, quiet)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/streams", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if g := s.grant; g.ID != "" && (!isStreamID(g.ID) || g.Lease < 0 || g.Asker.Zone() != "") {
			t.Errorf("%q: the server was given %+v", body, g)
		}
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%q %q = %d %s", path, body, w.Code, w.Body)
		}
	})
}
