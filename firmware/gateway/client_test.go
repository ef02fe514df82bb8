package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// serve answers every request with status and body, and notes what it was asked.
func serve(t *testing.T, status int, body string) (*Client, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(b))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return newClient(t, ClientConfig{URL: server.URL + "/api"}), &asked
}

func newClient(t *testing.T, c ClientConfig) *Client {
	t.Helper()
	if c.Key == "" {
		c.Key = "k"
	}
	c.AllowHTTP = true
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.http.CloseIdleConnections)
	return client
}

func TestClientSendsExactlyTheFieldsOfTheProtocol(t *testing.T) {
	c, asked := serve(t, 200, `{"utilization_id": 12345678901234567890, "url": "h", "rtp_port": 1, "rtcp_port": 2,
		"validation_code": 0, "ok": "stream stopped successfully"}`)
	ctx := t.Context()
	id, err := c.NewUtilizationID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.StartStream(ctx, id, 640, 480); err != nil {
		t.Error(err)
	}
	if _, err := c.ValidateStream(ctx, id); err != nil {
		t.Error(err)
	}
	if err := c.StopStream(ctx, wire.TextID("a/<b>")); err != nil {
		t.Error(err)
	}
	// The SSRC is new each time.
	(*asked)[1] = regexp.MustCompile(`"ssrc":[1-9][0-9]*`).ReplaceAllString((*asked)[1], `"ssrc":1`)
	want := []string{
		`POST /api application/json {"action":"new_utilization_id","key":"k"}`,
		`POST /api application/json {"action":"start_stream","key":"k",` +
			`"utilization_id":12345678901234567890,"width":640,"height":480,"codec":"VP8","ssrc":1}`,
		`POST /api application/json {"action":"validate_stream","utilization_id":12345678901234567890}`,
		`POST /api application/json {"action":"stop_stream","utilization_id":"a/\u003cb\u003e"}`,
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestStartStreamReadsLiberally(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want Grant
	}{
		"plain": {`{"url":"v.example","rtp_port":5004,"rtcp_port":5005}`,
			Grant{Host: "v.example", RTPPort: 5004, RTCPPort: 5005, KeepAlive: time.Minute}},
		"ports as text": {`{"url":"v.example","rtp_port":"5004","rtcp_port":" 5005"}`,
			Grant{Host: "v.example", RTPPort: 5004, RTCPPort: 5005, KeepAlive: time.Minute}},
		"a URL and fractions": {`{"url":"rtp://10.0.0.1:9/x","rtp_port":5004.0,"rtcp_port":5e3}`,
			Grant{Host: "10.0.0.1", RTPPort: 5004, RTCPPort: 5000, KeepAlive: time.Minute}},
		"unknown fields": {` {"url":"h","rtp_port":1,"rtcp_port":2,"more":[{}],"srtp_profile":null}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: time.Minute}},
		"keepalive": {`{"url":"h","rtp_port":1,"rtcp_port":2,"keepalive_s":30}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: 30 * time.Second}},
		"keepalive too short": {`{"url":"h","rtp_port":1,"rtcp_port":2,"keepalive_s":1}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: 5 * time.Second}},
		"keepalive too long": {`{"url":"h","rtp_port":1,"rtcp_port":2,"keepalive_s":"9999"}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: 600 * time.Second}},
		"keepalive unread": {`{"url":"h","rtp_port":1,"rtcp_port":2,"keepalive_s":{}}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: time.Minute}},
		"an error code of 0": {`{"url":"h","rtp_port":1,"rtcp_port":2,"error_code":0}`,
			Grant{Host: "h", RTPPort: 1, RTCPPort: 2, KeepAlive: time.Minute}},
	} {
		got, err := first(serve(t, 200, c.body)).StartStream(t.Context(), wire.ID{}, 640, 480)
		got.SSRC = 0 // random
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func first(c *Client, _ *[]string) *Client { return c }

func TestAnswersThatAreNoGateways(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"an error page":          {404, "<html>Not found</html>"},
		"nothing":                {200, ""},
		"a list":                 {200, "[]"},
		"half an object":         {200, `{"url": "h", "rtp_p`},
		"no receiver":            {200, `{"rtp_port":1,"rtcp_port":2}`},
		"a receiver of nonsense": {200, `{"url":"a b","rtp_port":1,"rtcp_port":2}`},
		"no ports":               {200, `{"url":"h"}`},
		"ports of nonsense":      {200, `{"url":"h","rtp_port":"x","rtcp_port":2}`},
		"half a port":            {200, `{"url":"h","rtp_port":1.5,"rtcp_port":2}`},
		"a port without end":     {200, `{"url":"h","rtp_port":1e300,"rtcp_port":2}`},
		"an endless answer":      {200, `{"url":"` + strings.Repeat("x", answerMax) + `"}`},
		"an empty object":        {200, `{}`},
	} {
		_, err := first(serve(t, c.status, c.body)).StartStream(t.Context(), wire.ID{}, 640, 480)
		if !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: %v, want ErrBadAnswer", name, err)
		}
		if words := Explain(err); words != ErrBadAnswer.Error() {
			t.Errorf("%s: Explain = %q", name, words)
		}
	}
	if _, err := first(serve(t, 200, `{}`)).NewUtilizationID(t.Context()); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("no id: %v, want ErrBadAnswer", err)
	}
	_, err := first(serve(t, 200, `{"utilization_id":[1]}`)).NewUtilizationID(t.Context())
	if !errors.Is(err, ErrBadAnswer) {
		t.Errorf("a list as id: %v, want ErrBadAnswer", err)
	}
	_, err = first(serve(t, 200, `{"ok":"x"}`)).ValidateStream(t.Context(), wire.ID{})
	if !errors.Is(err, ErrBadAnswer) {
		t.Errorf("no validation_code: %v, want ErrBadAnswer: silence is not 0", err)
	}
}

func TestEveryRefusalIsExplained(t *testing.T) {
	for _, code := range append(wire.Codes(), 5005, 4290, 9999) {
		body, _ := json.Marshal(map[string]any{"error_code": code, "error_txt": "own\nwords"})
		status := code / 10
		if status > 599 {
			status = 500
		}
		_, err := first(serve(t, status, string(body))).StartStream(t.Context(), wire.ID{}, 640, 480)
		var refusal *wire.Refusal
		if !errors.As(err, &refusal) || refusal.Code != code || refusal.Action != wire.ActionStartStream ||
			refusal.Reason != "own words" {
			t.Errorf("%d: %v", code, err)
		}
		if words := Explain(err); len(words) < 20 || !strings.Contains(words, "(") ||
			strings.Contains(words, "own") && !strings.Contains(words, "its own") {
			t.Errorf("Explain(%d) = %q", code, words)
		}
	}
}

func TestRefusalsOfOtherForms(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   int
	}{
		"the code as text":              {401, `{"error_code":"4011"}`, 4011},
		"a code with status 200":        {200, `{"error_code":4091}`, 4091},
		"no code, the status stands in": {503, `{"error_txt":"busy"}`, 5030},
		"words that are not text":       {403, `{"error_code":4031,"error_txt":{"a":1}}`, 4031},
		"a code that differs by status": {500, `{"error_code":4012}`, 4012},
		"good fields with a bad status": {404, `{"ok":"stream stopped successfully"}`, 4040},
		"words long enough for a defect": {401,
			`{"error_code":4011,"error_txt":"` + strings.Repeat("é", 9999) + `"}`, 4011},
	} {
		err := first(serve(t, c.status, c.body)).StopStream(t.Context(), wire.ID{})
		var refusal *wire.Refusal
		if !errors.As(err, &refusal) || refusal.Code != c.want || len(refusal.Reason) > 500 {
			t.Errorf("%s: %v, want a refusal with %d", name, err, c.want)
		}
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		_, err := newClient(t, ClientConfig{URL: server.URL}).NewUtilizationID(t.Context())
		server.Close()
		if !errors.Is(err, ErrRedirect) || !strings.Contains(err.Error(), other.URL) {
			t.Errorf("%d: %v, want ErrRedirect that names the place", status, err)
		}
	}
	if elsewhere != 0 {
		t.Errorf("the key went elsewhere %d times", elsewhere)
	}
}

// The key stays with the server that the owner named, whatever that says. Another path there is
// remembered, so that each request is one again.
func TestClientFollowsARedirectToAnotherPathOfTheSameServerOnly(t *testing.T) {
	for _, c := range []struct {
		location string
		want     string // the paths that three requests ask
		end      error  // of the last two
	}{
		{"/api/", "/api /api/ /api/", nil},
		{"api/", "/api /api/ /api/", nil},
		{"?v=2#x", "/api /api /api", nil}, // the server below knows the query
		{"http://SAME/api/", "/api /api/ /api/", nil},
		{"/loop", "/api /loop /loop", ErrMoved},
		{"", "/api /api /api", ErrRedirect},
		{"//other.example/api/", "/api /api /api", ErrRedirect},
		{"http://user:pw@SAME/api/", "/api /api /api", ErrRedirect},
		{"https://SAME/api/", "/api /api /api", ErrRedirect},
		{"http://127.0.0.1:9/api/", "/api /api /api", ErrRedirect},
		{"ftp://SAME/api/", "/api /api /api", ErrRedirect},
		{"%zz", "/api /api /api", ErrBadAnswer},
	} {
		for _, status := range []int{301, 302, 307, 308} {
			var asked []string
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = append(asked, r.URL.Path)
				switch {
				case r.URL.Path == "/api/" || r.URL.RawQuery != "":
					if r.Method != http.MethodPost || !strings.Contains(string(body), `"key":"k"`) {
						t.Errorf("%s with %s came behind the redirect", r.Method, body)
					}
					_, _ = io.WriteString(w, `{"utilization_id":1}`)
				default:
					same := strings.TrimPrefix(server.URL, "http://")
					w.Header().Set("Location", strings.ReplaceAll(c.location, "SAME", same))
					w.WriteHeader(status)
				}
			}))
			client := newClient(t, ClientConfig{URL: server.URL + "/api"})
			for i := range 3 {
				_, err := client.NewUtilizationID(t.Context())
				want := c.end
				if want == nil && i == 0 {
					want = ErrMoved
				}
				if !errors.Is(err, want) {
					t.Errorf("request %d, %d to %q: %v, want %v", i, status, c.location, err, want)
				}
			}
			server.Close()
			if got := strings.Join(asked, " "); got != c.want {
				t.Errorf("%d to %q: asked %q, want %q", status, c.location, got, c.want)
			}
		}
	}
}

func TestClientGivesUpOnAGatewayThatNeverAnswers(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			_, _ = io.WriteString(w, `{"utilization_id":`)
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	for _, path := range []string{"/", "/half"} {
		c := newClient(t, ClientConfig{URL: server.URL + path, Timeout: 50 * time.Millisecond})
		if _, err := c.NewUtilizationID(t.Context()); !errors.Is(err, ErrSilent) ||
			Explain(err) != ErrSilent.Error() {
			t.Errorf("%s: %v, want ErrSilent", path, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := newClient(t, ClientConfig{URL: server.URL + path}).NewUtilizationID(ctx)
		if errors.Is(err, ErrSilent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, given up by the caller: %v, want DeadlineExceeded alone", path, err)
		}
		cancel()
	}
}

func TestClientReportsAnAnswerThatBreaksOffAndAGatewayThatIsNotThere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"ok":`)
	}))
	c := newClient(t, ClientConfig{URL: server.URL})
	if err := c.StopStream(t.Context(), wire.ID{}); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("half an answer: %v, want ErrBadAnswer", err)
	}
	server.Close()
	if err := c.StopStream(t.Context(), wire.ID{}); !errors.Is(err, ErrUnreachable) ||
		Explain(err) != ErrUnreachable.Error() {
		t.Errorf("no gateway: %v, want ErrUnreachable", err)
	}
}

func TestNewClientRefusesWhatWouldLeakTheKey(t *testing.T) {
	for _, c := range []struct {
		config ClientConfig
		want   error
	}{
		{ClientConfig{URL: "http://gw.example/", Key: "secret"}, ErrPlainHTTP},
		{ClientConfig{URL: "http://gw.example/", Key: "secret", AllowHTTP: true}, nil},
		{ClientConfig{URL: "https://gw.example/", Key: "secret"}, nil},
		{ClientConfig{URL: "https://gw.example/"}, ErrConfig},
		{ClientConfig{URL: "gw.example", Key: "secret"}, ErrConfig},
		{ClientConfig{URL: "ftp://gw.example", Key: "secret"}, ErrConfig},
		{ClientConfig{URL: "https://", Key: "secret"}, ErrConfig},
		{ClientConfig{URL: "https://gw.example/", Key: "secret", CA: "no pem"}, ErrConfig},
	} {
		_, err := NewClient(c.config)
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("NewClient(%+v) = %v, want %v", c.config, err, c.want)
		}
	}
}

// An answer may be anything; reading it must end with a value or an error, and an
// ID that was taken must be JSON again.
func FuzzRead(f *testing.F) {
	f.Add(200, []byte(`{"utilization_id":"x","url":"http://h:1/","rtp_port":"5004","rtcp_port":5005,`+
		`"keepalive_s":5,"validation_code":0}`))
	f.Add(401, []byte(`{"error_code":4011,"error_txt":"x"}`))
	f.Add(302, []byte(`<html>`))
	f.Add(429, []byte(`120`))
	f.Add(503, []byte(`Sat, 28 Nov 2026 00:30:00 GMT`))
	f.Add(200, []byte("\xef\xbb\xbf{}"))
	f.Add(200, []byte("\xff\xfe{\x00}\x00"))
	f.Add(200, []byte(`{"url":"h","rtp_port":1024,"rtcp_port":1025,"srtp_profile":"AEAD_AES_128_GCM",`+
		`"srtp_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==",`+
		`"srtcp_key":"EAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="}`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		header := http.Header{"Location": {string(b)}, "Retry-After": {string(b)}, "Date": {string(b)}}
		a, err := judgeAnswer("x", response{status: status, header: header, body: b}, time.Now())
		if after := retryAfter(err); after < 0 || after > retryAfterMax {
			t.Errorf("a pause of %v", after)
		}
		if err != nil {
			if words := Explain(err); words == "" || len(words) > 1000 {
				t.Errorf("Explain = %q", words)
			}
			return
		}
		if _, err := json.Marshal(a.Utilization); err != nil {
			t.Errorf("ID %q of %q does not go back: %v", a.Utilization, b, err)
		}
		if host, err := receiverHost(a.URL); err == nil && !isAddr(host) && !isHostName(host) {
			t.Errorf("receiverHost(%q) = %q", a.URL, host)
		}
		if period := clampKeepAlive(a.KeepAlive); period < keepAliveMin || period > keepAliveMax {
			t.Errorf("clampKeepAlive(%v) = %v", a.KeepAlive, period)
		}
		if keys, err := readSRTP(a, true); err == nil && keys != nil {
			size := wire.KeySize(keys.Profile)
			if size == 0 || len(keys.Source) != size || len(keys.Receiver) != size {
				t.Errorf("readSRTP of %q = keys of %d and %d bytes for %s",
					b, len(keys.Source), len(keys.Receiver), keys.Profile)
			}
		}
	})
}
