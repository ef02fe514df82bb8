// What gateways, and what stands in front of them, send in the place of a plain answer.

package gateway

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const plainGrant = `{"url":"v.example","rtp_port":5004,"rtcp_port":5005}`

func inUTF16(order binary.AppendByteOrder, s string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func TestAnswersAreReadThroughWhatIsAroundThem(t *testing.T) {
	for name, body := range map[string]string{
		"a byte order mark":                  "\xef\xbb\xbf" + plainGrant,
		"two of them, and lines":             "\xef\xbb\xbf\r\n\xef\xbb\xbf\r\n" + plainGrant,
		"UTF-16, little endian":              inUTF16(binary.LittleEndian, "\ufeff"+plainGrant),
		"UTF-16, big endian":                 inUTF16(binary.BigEndian, "\ufeff"+plainGrant),
		"UTF-16 without a mark":              inUTF16(binary.LittleEndian, plainGrant),
		"UTF-16 without a mark, big endian":  inUTF16(binary.BigEndian, plainGrant),
		"lines before and behind":            "\r\n\r\n" + plainGrant + "\r\n\r\n\r\n",
		"a zero byte of C behind":            plainGrant + "\x00",
		"a word behind":                      plainGrant + "\nOK",
		"a remark of the web server behind":  plainGrant + "\n<!-- served in 0.01 s -->",
		"another object behind":              plainGrant + `{"url":"other.example"}`,
		"numbers as text, and an ok of true": `{"url":"v.example","rtp_port":"5004","rtcp_port":"5005","ok":true}`,
		"an error code of null":              `{"url":"v.example","rtp_port":5004,"rtcp_port":5005,"error_code":null}`,
	} {
		got, err := first(serve(t, 200, body)).StartStream(t.Context(), wire.ID{}, 640, 480)
		if err != nil || got.Host != "v.example" || got.RTPPort != 5004 || got.RTCPPort != 5005 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAnswersAreReadHoweverHTTPCarriesThem(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			for _, c := range plainGrant {
				_, _ = io.WriteString(w, string(c))
				w.(http.Flusher).Flush()
			}
		},
		"gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, plainGrant)
			z.Close()
		},
		"100 Continue first": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusContinue)
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, plainGrant)
		},
		"text/html": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, plainGrant)
		},
		"201 Created": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, plainGrant)
		},
	} {
		server := httptest.NewServer(answer)
		g, err := newClient(t, ClientConfig{URL: server.URL}).StartStream(t.Context(), wire.ID{}, 640, 480)
		server.Close()
		if err != nil || g.Host != "v.example" {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	// A server that knows HTTP/2 gets HTTP/1.1 from us.
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"utilization_id":%q}`, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newClient(t, ClientConfig{URL: server.URL, CA: pemOf(server)})
	if id, err := client.NewUtilizationID(t.Context()); err != nil || id.String() != "HTTP/1.1" {
		t.Errorf("HTTP/2: %v, %v", id, err)
	}
}

func TestABombOfGzipIsNotRead(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, `{"utilization_id":"`+strings.Repeat("x", 64<<20))
	z.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	defer server.Close()
	client := newClient(t, ClientConfig{URL: server.URL})
	if _, err := client.NewUtilizationID(t.Context()); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("%v, want ErrBadAnswer", err)
	}
}

func TestStopStreamTakesAnythingGoodForAYes(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		good   bool
	}{
		{204, "", true}, {200, "", true}, {200, " \r\n", true}, {202, "", true}, {205, "", true},
		{200, "OK", true}, {200, `"stream stopped successfully"`, true}, {200, "true", true}, {200, "null", true},
		{200, "[]", true}, {200, `{"ok": true}`, true}, {200, "\xef\xbb\xbf", true},
		{200, "<html>Please log in</html>", false}, {500, "", false}, {404, "", false}, {302, "", false},
		{200, `{"error_code": 5031}`, false}, {200, `{"ok`, false},
	} {
		err := first(serve(t, c.status, c.body)).StopStream(t.Context(), wire.ID{})
		if (err == nil) != c.good {
			t.Errorf("%d with %q: %v, want good %v", c.status, c.body, err, c.good)
		}
	}
	for _, action := range []func(*Client) error{
		func(c *Client) error { _, err := c.NewUtilizationID(t.Context()); return err },
		func(c *Client) error { _, err := c.StartStream(t.Context(), wire.ID{}, 640, 480); return err },
		func(c *Client) error { _, err := c.ValidateStream(t.Context(), wire.ID{}); return err },
	} {
		for _, status := range []int{200, 204} {
			if err := action(first(serve(t, status, ""))); !errors.Is(err, ErrBadAnswer) {
				t.Errorf("%d with nothing: %v, want ErrBadAnswer", status, err)
			}
		}
	}
}

// What is no answer of the protocol is named for what it is.
func TestForeignAnswersAreExplained(t *testing.T) {
	const page = "<!DOCTYPE html>\n<html><head><title>Hotel</title></head></html>"
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"a captive portal", 200, page, ErrPage.Error()},
		{"a captive portal that says so", 511, page, ErrPage.Error()},
		{"a page behind a byte order mark", 200, "\xef\xbb\xbf" + page, ErrPage.Error()},
		{"XML", 200, `<?xml version="1.0"?><error/>`, ErrPage.Error()},
		{"a proxy without a gateway", 502, "<html><center>nginx</center></html>", ErrProxy.Error()},
		{"a proxy without a gateway, in words", 503, "no available server", ErrProxy.Error()},
		{"a proxy without a gateway, in silence", 504, "", ErrProxy.Error()},
		{"a content network", 522, page, ErrProxy.Error()},
		{"a fault", 500, page, "the gateway has a fault of its own (HTTP 500) (5000)"},
		{"a fault in silence", 500, "", "the gateway has a fault of its own (HTTP 500) (5000)"},
		{"too many requests", 429, page, "the gateway has too many requests and makes us wait (HTTP 429) (4290)"},
		{"too many requests, in JSON", 429, `{"error_code": 4291}`,
			"the gateway has too many requests and makes us wait (HTTP 429) (4291)"},
		{"a wrong path", 404, page, ErrBadAnswer.Error()},
		{"a login", 401, "", ErrBadAnswer.Error()},
		{"a greeting", 200, "It works!", ErrBadAnswer.Error()},
	} {
		_, err := first(serve(t, c.status, c.body)).StartStream(t.Context(), wire.ID{}, 640, 480)
		if got := Explain(err); got != c.want {
			t.Errorf("%s: Explain(%v) = %q, want %q", c.name, err, got, c.want)
		}
		if needsOwner(err) || endsLease(err) {
			t.Errorf("%s: %v waits for an owner: %v, ends the lease: %v", c.name, err, needsOwner(err), endsLease(err))
		}
	}
}

func TestRetryAfterIsReadInAllItsForms(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name, header, date string
		want               time.Duration
	}{
		{"seconds", "120", "", 2 * time.Minute},
		{"seconds with a fraction", "1.5", "", 1500 * time.Millisecond},
		{"none", "", "", 0},
		{"zero", "0", "", 0},
		{"before now", "-5", "", 0},
		{"longer than sense", "86400", "", 10 * time.Minute},
		{"without end", "1e300", "", 10 * time.Minute},
		{"no number", "NaN", "", 0},
		{"infinite", "Inf", "", 10 * time.Minute},
		{"words", "soon", "", 0},
		{"a date", in(90 * time.Second), "", 90 * time.Second},
		{"a date that is over", in(-time.Hour), "", 0},
		{"a date of tomorrow", in(24 * time.Hour), "", 10 * time.Minute},
		{"a date by the gateway's clock", in(90 * time.Second), in(time.Minute), 30 * time.Second},
		{"a date, and our clock never set", in(30*time.Second - 20*365*24*time.Hour), in(-20 * 365 * 24 * time.Hour),
			30 * time.Second},
		{"a date in an old form", now.Add(time.Minute).Format(time.ANSIC), "", time.Minute},
	} {
		h := http.Header{"Retry-After": {c.header}, "Date": {c.date}}
		if got := readRetryAfter(h, now); got != c.want {
			t.Errorf("%s: readRetryAfter(%q) = %v, want %v", c.name, c.header, got, c.want)
		}
	}
	for status, body := range map[int]string{
		429: "", 503: "<html>", 500: `{"error_code": 5004}`, 401: `{"error_code": 4011}`,
	} {
		_, err := judgeAnswer("x", response{
			status: status, header: http.Header{"Retry-After": {"30"}}, body: []byte(body),
		}, now)
		if got := retryAfter(err); got != 30*time.Second {
			t.Errorf("HTTP %d: a pause of %v, want 30 s: %v", status, got, err)
		}
	}
}

// A gateway's Retry-After holds for every request but the last, and no news shortens it.
func TestSessionWaitsAsLongAsTheGatewayWants(t *testing.T) {
	busy := &delayedError{error: refused(4290), after: 40 * time.Second}
	s, _ := play(t, &memory{id: wire.TextID("7")}, nil,
		step{ask: "start 7", err: busy}, step{ask: "start 7"},
		step{ask: "validate 7", err: busy}, step{ask: "validate 7"},
		step{ask: "validate 7", err: refused(4092)}, step{ask: "stop 7", err: busy}, step{ask: "start 7"})
	want := []string{"start 7", "wait 40s", "start 7", begin, "wait 1s", "validate 7", "wait 40s", "validate 7",
		"wait 1m0s", "validate 7", "END", "wait 1s", "stop 7", "wait 40s", "start 7"}
	if got := s.log[:len(want)]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	var p pace
	now := time.Unix(1_800_000_000, 0)
	p.noteRequest(wire.ActionStartStream, busy, now)
	p.planRetry(busy, false, now, 0)
	p.takeNews(now)
	if got := p.due.Sub(now); got != 40*time.Second {
		t.Errorf("due %v after news, want 40 s", got)
	}
}
