// A real source.Session and Client against a real Gateway, over HTTP and HTTPS:
// the two halves were written against one page, and this is where they meet.

package single

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	source "github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// fastClock makes a second last a millisecond.
type fastClock struct{ began time.Time }

func (c fastClock) Now() time.Time { return c.began.Add(time.Since(c.began) * 1000) }
func (c fastClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d / 1000)
	return t.C, func() { t.Stop() }
}

// stream notes what a session does with it.
type stream struct {
	mu  sync.Mutex
	did []string
}

func (s *stream) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, what)
}
func (s *stream) Begin(_ context.Context, g source.Grant) error {
	s.note("begin " + g.RTP.String() + " " + g.RTCP.String())
	return nil
}
func (s *stream) KeyFrame() { s.note("key frame") }
func (s *stream) End()      { s.note("end") }

func (s *stream) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.did)
}

// running is a session with its stream.
type running struct {
	*source.Session
	*stream
	stop func() error
}

// An answer that comes at all may take patient; a test in which none comes needs not wait so long.
const patient = 10 * time.Second

func runSession(t *testing.T, url, ca string, timeout time.Duration) *running {
	t.Helper()
	client, err := source.NewClient(source.ClientConfig{
		URL: url, Key: "k", AllowHTTP: true, CA: ca, Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{stream: &stream{}, Session: source.NewSession(source.SessionConfig{
		Asker: client, Store: source.FileStore{Dir: t.TempDir()}, Clock: fastClock{time.Now()},
		Policy: source.Policy{Local: func() ([]netip.Prefix, error) { return nil, nil }},
	})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, 640, 480, r.stream) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// until waits for the session to get somewhere.
func (r *running) until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %s: %+v, %q", what, r.State(), r.log())
		}
	}
}

func TestSessionMeetsGateway(t *testing.T) {
	for _, secure := range []bool{false, true} {
		// Its clock makes a millisecond of a second: of 5 s, a lease would be over within 15 ms.
		d := newDesk(t, Config{Key: "k", Host: "192.0.2.9", KeepAlive: 10 * time.Minute})
		s, ca := httptest.NewServer(d), ""
		if secure {
			s.Close()
			s = httptest.NewTLSServer(d)
			ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
		}
		r := runSession(t, s.URL, ca, patient)
		r.until(t, "streaming", func() bool { return r.State().Phase == source.PhaseStreaming })
		if got := d.State(); !got.Active || got.Utilization != r.State().Utilization {
			t.Errorf("gateway's State = %+v, session's %+v", got, r.State())
		}
		if err := r.stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if want := []string{"begin 192.0.2.9:5004 192.0.2.9:5005", "end"}; !slices.Equal(r.log(), want) {
			t.Errorf("stream did %q, want %q", r.log(), want)
		}
		if d.State().Active {
			t.Error("the gateway was not told of the end")
		}
		s.Close()
	}
}

func TestSessionTakesTheStreamBackAfterAPowerCut(t *testing.T) {
	d := newDesk(t, Config{Key: "k", Host: "192.0.2.9"})
	s := httptest.NewServer(d)
	defer s.Close()
	client, err := source.NewClient(source.ClientConfig{URL: s.URL, Key: "k", AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	id, err := client.NewUtilizationID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.StartStream(t.Context(), id, 640, 480); err != nil {
		t.Fatal(err)
	}
	store := source.FileStore{Dir: t.TempDir()} // what the board kept
	if err := store.Save(id); err != nil {
		t.Fatal(err)
	}
	session := source.NewSession(source.SessionConfig{Asker: client, Store: store, Clock: fastClock{time.Now()}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- session.Run(ctx, 640, 480, &stream{}) }()
	deadline := time.Now().Add(5 * time.Second)
	for ; session.State().Phase != source.PhaseStreaming; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("State = %+v, want streaming", session.State())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSessionAsksForAKeyFrameUntilFramesArrive(t *testing.T) {
	d := newDesk(t, Config{Key: "k", Host: "192.0.2.9"})
	d.server.code = 2
	s := httptest.NewServer(d)
	defer s.Close()
	r := runSession(t, s.URL, "", patient)
	r.until(t, "asked for a key frame", func() bool { return slices.Contains(r.log(), "key frame") })
	d.mu.Lock()
	d.server.code = 0
	d.mu.Unlock()
	r.until(t, "streaming", func() bool { return r.State().Phase == source.PhaseStreaming })
}

func TestSessionSurvivesEveryRefusal(t *testing.T) {
	for _, code := range append(wire.Codes(), 5005) {
		refuse := true
		var mu sync.Mutex
		d := newDesk(t, Config{Key: "k", Host: "192.0.2.9"})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			if refuse && strings.Contains(string(body), "start_stream") {
				w.WriteHeader(code / 10)
				_, _ = io.WriteString(w, `{"error_code":`+strconv.Itoa(code)+`,"error_txt":"no"}`)
				return
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			d.ServeHTTP(w, r)
		}))
		r := runSession(t, s.URL, "", patient)
		r.until(t, "refused with "+strconv.Itoa(code), func() bool { return r.State().Problem != "" })
		if p := r.State().Problem; !strings.Contains(p, "("+strconv.Itoa(code)+")") &&
			!strings.Contains(p, "another source") {
			t.Errorf("%d: Problem = %q", code, p)
		}
		if did := r.log(); len(did) != 0 {
			t.Errorf("%d: the stream did %q without a grant", code, did)
		}
		mu.Lock()
		refuse = false
		mu.Unlock()
		r.Wake()
		r.until(t, "streaming after "+strconv.Itoa(code),
			func() bool { return r.State().Phase == source.PhaseStreaming })
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}

func TestSessionNeverStreamsForWhatIsNoHonestGateway(t *testing.T) {
	id := `{"utilization_id":"x"}`
	for name, c := range map[string]struct {
		start string
		want  error
	}{
		"HTML":            {`<html>`, source.ErrPage},
		"half an answer":  {`{"url":"192.0.2.9","rtp_port":50`, source.ErrBadAnswer},
		"never an answer": {``, source.ErrSilent},
		"loopback":        {`{"url":"127.0.0.1","rtp_port":5004,"rtcp_port":5005}`, source.ErrDestination},
		"loopback by URL": {`{"url":"http://[::1]/","rtp_port":5004,"rtcp_port":5005}`, source.ErrDestination},
		"multicast":       {`{"url":"224.0.0.251","rtp_port":5004,"rtcp_port":5005}`, source.ErrDestination},
		"broadcast":       {`{"url":"255.255.255.255","rtp_port":5004,"rtcp_port":5005}`, source.ErrDestination},
		"port 22":         {`{"url":"192.0.2.9","rtp_port":22,"rtcp_port":5005}`, source.ErrDestination},
		"an endless host": {`{"url":"` + strings.Repeat("a.", 200) + `","rtp_port":5004,"rtcp_port":5005}`,
			source.ErrBadAnswer},
		"an answer to choke":  {`{"url":"` + strings.Repeat("a", 1<<20) + `"}`, source.ErrBadAnswer},
		"a port of nonsense":  {`{"url":"192.0.2.9","rtp_port":{},"rtcp_port":5005}`, source.ErrBadAnswer},
		"a nest of 10000 [[[": {strings.Repeat("[", 10000), source.ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				switch answer := c.start; {
				case strings.Contains(string(body), "new_"):
					_, _ = io.WriteString(w, id)
				case answer == "":
					<-release
				default:
					_, _ = io.WriteString(w, answer)
				}
			}))
			defer s.Close()
			defer close(release)
			timeout := patient
			if c.want == source.ErrSilent {
				timeout = 200 * time.Millisecond
			}
			r := runSession(t, s.URL, "", timeout)
			r.until(t, "in trouble", func() bool { return r.State().Problem != "" })
			if p := r.State().Problem; !strings.Contains(p, c.want.Error()) {
				t.Errorf("Problem = %q, want %q", p, c.want)
			}
			began := time.Now()
			if err := r.stop(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Logf("Run = %v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the end took %v, want at most 2 s", took)
			}
			if did := r.log(); len(did) != 0 {
				t.Errorf("the stream did %q", did)
			}
		})
	}
}
