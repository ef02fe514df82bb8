package whip

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// start forwards one stream by a rule. requested counts requests for key frames.
func start(t *testing.T, rule forward.Rule) (f *forward.Forwarder, s stream.Sink, requested *atomic.Int64) {
	t.Helper()
	requested = new(atomic.Int64)
	f, err := forward.New(forward.Config{
		Rules: []forward.Rule{rule}, Name: "test", WHIP: Publish, Now: time.Now,
		KeyFrame: func(string) { requested.Add(1) }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	g := stream.Grant{ID: "s1", Source: wire.TextID("cam1"), Customer: 7}
	return f, f.Sinks(g, "zoo", "gate")[0], requested
}

// playOn sends packets of a source, 200 a second, until the test is over.
func playOn(t *testing.T, s stream.Sink) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := uint32(0); ; n++ {
			select {
			case <-done:
				return
			case <-tick.C:
				s.TakePacket(keyFrame(n), time.Now())
			}
		}
	}()
	t.Cleanup(func() { close(done); <-ended })
}

// keyFrame is a packet with a whole key frame of 16x16, as far as anybody looks.
func keyFrame(n uint32) []byte {
	b := []byte{0x80, 0x80 | 96}
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = binary.BigEndian.AppendUint32(b, n*450)
	b = binary.BigEndian.AppendUint32(b, 1234)
	b = append(b, 0x10, 0x10, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0)
	return append(b, make([]byte, 200)...)
}

func isSending(f *forward.Forwarder) bool {
	s := f.States()
	return len(s) == 1 && s[0].State == forward.StateSending
}

func TestAStreamIsPublishedAndItsSessionDeleted(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	f, s, requested := start(t, forward.Rule{From: "all", WHIP: e.url("/moved/{source}"), Token: "secret"})
	playOn(t, s)
	await(t, "the endpoint gets packets", func() bool { return e.packets.Load() > 200 })
	if e.gaps.Load() != 0 || e.payload.Load() != payloadType {
		t.Errorf("%d gaps, payload type %d, want none and %d", e.gaps.Load(), e.payload.Load(), payloadType)
	}
	if requested.Load() == 0 {
		t.Error("no key frame was requested for the beginning")
	}
	plis, before := f.States()[0].PLIs, requested.Load()
	await(t, "the endpoint's request comes back", func() bool {
		if err := e.ask("cam1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		return f.States()[0].PLIs > plis && requested.Load() > before
	})
	await(t, "the endpoint reports", func() bool { return f.States()[0].Reports > 0 })
	s.Close()
	await(t, "the session is deleted", func() bool { return e.isDeleted("cam1") && len(f.States()) == 0 })
}

func TestAnEndpointThatIsStartedAgainGetsTheStreamAgain(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	f, s, requested := start(t, forward.Rule{From: "all", WHIP: e.url("/whip/{source}"), Token: "secret"})
	playOn(t, s)
	await(t, "the endpoint gets packets", func() bool { return e.packets.Load() > 50 })
	e.close()
	await(t, "the end is noticed", func() bool { return f.States()[0].State == forward.StateFailing })
	before := requested.Load()
	e.open()
	began := time.Now()
	await(t, "it gets packets again", func() bool { return e.firstAt.Load() != 0 && isSending(f) })
	t.Logf("FIGURE WHIP endpoint started again: first packet after %.0f ms",
		1e3*time.Unix(0, e.firstAt.Load()).Sub(began).Seconds())
	await(t, "a key frame for the beginning", func() bool { return requested.Load() > before })
	if st := f.States()[0]; st.Connections != 2 {
		t.Errorf("%+v, want two connections", st)
	}
}

// What an endpoint answers is a stranger's.
func TestAnEndpointsOddAnswersAreSaidInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string
	}{
		{"a refusal", func(w http.ResponseWriter) {
			http.Error(w, "wrong\nroom", http.StatusForbidden)
		}, "403 Forbidden: wrong room"},
		{"200 in the place of 201", func(w http.ResponseWriter) { io.WriteString(w, "v=0") }, "200 OK"},
		{"no SDP", func(w http.ResponseWriter) { w.WriteHeader(201); io.WriteString(w, "hello") }, "endpoint's answer"},
		{"an answer without end", func(w http.ResponseWriter) {
			w.WriteHeader(201)
			for range 300 {
				io.WriteString(w, strings.Repeat("a=x\r\n", 1000))
			}
		}, "more than"},
		{"a location that is no web address", func(w http.ResponseWriter) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(201)
		}, "Location"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(w) }))
		_, err := Publish(t.Context(), forward.PublishRequest{
			URL: server.URL, Token: "t", Feedback: func([]rtcp.Packet) {},
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Publish = %v, want an error with %q", c.name, err, c.want)
		}
		server.Close()
	}
}

// A session may be at another host than the endpoint, which must not learn the token.
func TestTheTokenStaysAtTheEndpointsHost(t *testing.T) {
	t.Parallel()
	authorization := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		authorization <- r.Method + r.Header.Get("Authorization")
	}))
	defer other.Close()
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", other.URL+"/session")
		w.WriteHeader(http.StatusCreated)
	}))
	defer endpoint.Close()
	r, _, err := create(t.Context(), endpoint.URL, "t", "v=0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-authorization; got != "DELETE" {
		t.Errorf("the other host got %q, want DELETE without a token", got)
	}
}

func TestAnEndpointThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer silent.Close()
	defer close(over)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Publish(ctx, forward.PublishRequest{URL: silent.URL, Feedback: func([]rtcp.Packet) {}})
	if err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("Publish = %v after %v", err, time.Since(began))
	}
}
