package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A redirecting server has a gateway at some of its paths. Its behaviour may be changed between two requests.
type redirecting struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by path
	asked   []string
}

func (s *redirecting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	answer := s.answers[r.URL.Path]
	s.mu.Unlock()
	answer(w, r)
}

// setAnswer has the server answer otherwise at a path from now on.
func (s *redirecting) setAnswer(path string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = answer
}

// askedPaths are the paths of all requests so far, in words.
func (s *redirecting) askedPaths() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, " ")
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hangsUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func (s *redirecting) client(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return newClient(t, ClientConfig{URL: server.URL + "/api"})
}

const goodID = `{"utilization_id":1}`

// A server in maintenance sends everybody to a page of it. Once it is over, the board must find back.
func TestClientComesBackFromARedirectThatLedToNoGateway(t *testing.T) {
	for name, page := range map[string]http.HandlerFunc{
		"a page":                 says(200, "<html>back soon</html>"),
		"a page with 503":        says(503, "<html>back soon</html>"),
		"a 500":                  says(500, "oops"),
		"nothing":                says(200, ""),
		"404":                    says(404, "not found"),
		"429":                    says(429, "later"),
		"JSON that says no":      says(503, `{"message":"maintenance"}`),
		"JSON without an id":     says(200, `{"status":"maintenance"}`),
		"a list":                 says(200, `[]`),
		"half an answer":         says(200, `{"utilization_id":`),
		"a connection that ends": hangsUp,
		"a redirect elsewhere":   http.RedirectHandler("http://elsewhere.example/", http.StatusFound).ServeHTTP,
		"a loop":                 http.RedirectHandler("/maintenance", http.StatusFound).ServeHTTP,
	} {
		for _, status := range []int{301, 302, 307, 308} {
			s := &redirecting{answers: map[string]http.HandlerFunc{
				"/api": http.RedirectHandler("/maintenance", status).ServeHTTP, "/maintenance": page,
			}}
			c := s.client(t)
			for range 2 * redirectsMax {
				if _, err := c.NewUtilizationID(t.Context()); err == nil {
					t.Fatalf("%s: an id came from a page of maintenance", name)
				}
			}
			s.setAnswer("/api", says(200, goodID))
			var err error
			for range redirectsMax + 1 { // what is left of a loop, and one that succeeds
				if _, err = c.NewUtilizationID(t.Context()); err == nil {
					break
				}
			}
			if err != nil {
				t.Errorf("%d to %s: %v after the maintenance; asked %q", status, name, err, s.askedPaths())
			}
		}
	}
}

func TestTemporaryRedirectIsForgottenWithTheStream(t *testing.T) {
	for status, want := range map[int]string{
		301: "/api /v2 /v2 /v2", 308: "/api /v2 /v2 /v2", 302: "/api /v2 /v2 /api", 307: "/api /v2 /v2 /api",
	} {
		s := &redirecting{answers: map[string]http.HandlerFunc{
			"/api": http.RedirectHandler("/v2", status).ServeHTTP, "/v2": says(200, goodID),
		}}
		c := s.client(t)
		for range 2 {
			_, _ = c.NewUtilizationID(t.Context())
		}
		if err := c.StopStream(t.Context(), wire.ID{}); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		_, _ = c.NewUtilizationID(t.Context())
		if got := s.askedPaths(); got != want {
			t.Errorf("%d: asked %q, want %q", status, got, want)
		}
	}
}

// stop_stream may be the request that finds the redirect; it is sent again, and must arrive then.
func TestStopStreamReachesTheGatewayBehindARedirect(t *testing.T) {
	s := &redirecting{answers: map[string]http.HandlerFunc{
		"/api": http.RedirectHandler("/v2", http.StatusFound).ServeHTTP, "/v2": says(200, `{"ok":"stopped"}`),
	}}
	c := s.client(t)
	if err := c.StopStream(t.Context(), wire.ID{}); !errors.Is(err, ErrMoved) {
		t.Errorf("the first: %v, want ErrMoved", err)
	}
	if err := c.StopStream(t.Context(), wire.ID{}); err != nil {
		t.Errorf("the second: %v; asked %q", err, s.askedPaths())
	}
}

// A refusal is an answer of the gateway, and an outage of one that answered is no news about its path.
func TestRedirectIsKeptWhileAGatewayIsBehindIt(t *testing.T) {
	s := &redirecting{answers: map[string]http.HandlerFunc{
		"/api": http.RedirectHandler("/v2", http.StatusFound).ServeHTTP,
		"/v2":  says(403, `{"error_code":4031,"error_txt":"no"}`),
	}}
	c := s.client(t)
	for i := range 4 {
		if i == 3 {
			s.setAnswer("/v2", hangsUp)
		}
		_, _ = c.NewUtilizationID(t.Context())
	}
	s.setAnswer("/v2", says(200, goodID))
	if _, err := c.NewUtilizationID(t.Context()); err != nil {
		t.Errorf("%v; asked %q", err, s.askedPaths())
	}
}

func TestRedirectToTheSameServerInOtherWords(t *testing.T) {
	for _, c := range []struct{ asked, location, want string }{ // want "": it is another server
		{"https://gw/api", "https://gw:443/x", "https://gw/x"},
		{"https://gw:443/api", "https://gw/x", "https://gw:443/x"},
		{"https://gw/api", "https://GW/x", "https://gw/x"},
		{"https://gw:/api", "https://gw:443/x", "https://gw:/x"},
		{"http://gw/api", "http://gw:80/x", "http://gw/x"},
		{"http://[2001:DB8::1]/api", "http://[2001:db8::1]:80/x", "http://[2001:DB8::1]/x"},
		{"https://gw:8443/api", "/x?y=1#z", "https://gw:8443/x?y=1"},
		{"https://gw/api", "https://gw:80/x", ""},
		{"http://gw/api", "http://gw:443/x", ""},
		{"https://gw/api", "https://gw:8443/x", ""},
		{"https://gw:8443/api", "https://gw/x", ""},
		{"https://gw/api", "http://gw:443/x", ""},
		{"https://gw/api", "https://gw.example/x", ""},
		{"https://gw/api", "https://gw@other/x", ""},
	} {
		asked, err := url.Parse(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		r := response{status: 308, header: http.Header{"Location": {c.location}}}
		if to := pathOnSameServer(asked, r); to != nil {
			got = to.String()
		}
		if got != c.want {
			t.Errorf("%s redirects to %s: taken as %q, want %q", c.asked, c.location, got, c.want)
		}
	}
}
