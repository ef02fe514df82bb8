package pull

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/update"
)

func TestBrokenServersAreGivenUp(t *testing.T) {
	f := newFile(t, "v2", 300_000)
	partial := func(contentRange string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if contentRange != "" {
				w.Header().Set("Content-Range", contentRange)
			}
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(f.bytes[:headSpan])
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	cut := f
	cut.bytes = f.bytes[:len(f.bytes)-2000]
	longer := f
	longer.bytes = append(bytes.Clone(f.bytes), 0)
	for _, c := range []struct {
		name  string
		h     http.Handler
		want  error
		words string
		most  int64 // requests
	}{
		{"not there", status(404), ErrServer, "404 Not Found", 1},
		{"wants a password", status(401), ErrServer, "401", 1},
		{"is busy", status(503), ErrServer, "503", 3},
		{"has no such range", status(416), ErrServer, "416", 1},
		{"redirects to http", redirect("http://127.0.0.1/?token=" + secret), ErrServer, "no https", 1},
		{"redirects to a file", redirect("file:///etc/passwd"), ErrServer, "no https", 1},
		{"redirects with a password", redirect("https://a:" + secret + "@127.0.0.1/"), ErrServer, "no https", 1},
		{"redirects to itself", redirect("/?token=" + secret), ErrServer, "5 redirects", 6},
		{"does not say which range", partial(""), ErrServer, "which", 1},
		{"gives another range", partial("bytes 1-65536/1000000"), ErrServer, "gives 1", 1},
		{"gives a range backwards", partial("bytes 0--1/1000000"), ErrServer, "which", 1},
		{"gives more than asked for", partial("bytes 0-999999/1000000"), ErrServer, "gives 0 to 999999", 1},
		{"gives a range beyond numbers", partial("bytes 0-99999999999999999999/*"), ErrServer, "which", 1},
		{"says a page", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat("<html>", 10_000))
		}), update.ErrBundle, "<html>", 1},
		{"packs", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "x")
		}), ErrServer, "packs", 1},
		{"has long headers", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		}), nil, "", 3},
		{"has a file that is cut", cut, update.ErrBundle, "the manifest says", 1},
		{"has a file that is cut, without ranges", cut.withoutRanges(true), update.ErrBundle, "the manifest says", 1},
		{"has a file with more behind it", longer, update.ErrBundle, "the manifest says", 1},
		{"has an empty file", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), update.ErrBundle, "", 3},
	} {
		s := newServer(t, c.h)
		job := s.job(t)
		if c.want == nil {
			if _, err := Fetch(t.Context(), job); err == nil {
				t.Errorf("%s: no error", c.name)
			}
		} else {
			failure(t, c.name, job, c.want, c.words)
		}
		if n := s.requests.Load(); n > c.most {
			t.Errorf("%s: %d requests, want at most %d", c.name, n, c.most)
		}
	}
}

func TestAddressesThatAreNoUpdateServers(t *testing.T) {
	f := newFile(t, "v2", 1000)
	s := newServer(t, f)
	for name, at := range map[string]string{
		"http": strings.Replace(s.URL, "https", "http", 1), "a file": "file:///etc/passwd", "nothing": "",
		"no host":    "https://",
		"a password": strings.Replace(s.URL, "https://", "https://a:"+secret+"@", 1), "no URL": "https://%zz/",
	} {
		job := s.job(t)
		job.URL = at
		failure(t, name, job, ErrAddress, "")
	}
	job := s.job(t)
	job.Dial = nil
	failure(t, "this machine", job, ErrAddress, "127.0.0.1")
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// The name of an update server may lead anywhere: to the board itself, in whatever form, to nobody else
// on its link, and to no address that is none.
func TestNameThatLeadsToTheBoardItselfIsNotFollowed(t *testing.T) {
	for _, ip := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::",
		"0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "224.0.0.251", "ff02::fb", "169.254.169.254",
		"fe80::1%lo", "64:ff9b::a9fe:a9fe",
	} {
		at := net.JoinHostPort(ip, "443")
		if err := refuseOwn(t.Context(), "tcp", at, nil); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want %v", at, err, ErrAddress)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil {
			t.Fatal(err)
		}
		at := net.JoinHostPort(ip.String(), "443")
		if err := refuseOwn(t.Context(), "tcp", at, nil); !errors.Is(err, ErrAddress) {
			t.Errorf("an address of this machine, %s: %v, want %v", at, err, ErrAddress)
		}
	}
	for _, at := range []string{"203.0.113.5:443", "192.0.2.77:8443", "[2001:db8::1]:443", "[64:ff9b::cb00:7105]:443"} {
		if err := refuseOwn(t.Context(), "tcp", at, nil); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// A query may be a secret between the board and the server that was named.
func TestServerThatIsRedirectedToLearnsNoSecret(t *testing.T) {
	f := newFile(t, "v2", 1000)
	var told []string
	other := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = append(told, fmt.Sprint(r.URL, r.Header))
		f.ServeHTTP(w, r)
	}))
	named := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/rpi.update", http.StatusFound)
	}))
	job := named.job(t)
	job.TLS.RootCAs.AddCert(other.Certificate())
	job.URL += "?token=" + secret
	if _, err := Fetch(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(told, "\n"); len(told) == 0 || strings.Contains(text, secret) {
		t.Errorf("the other server was told:\n%s", text)
	}
}

func TestUnknownCertificateIsNotBelieved(t *testing.T) {
	s := newServer(t, newFile(t, "v2", 1000))
	job := newJob(t, s.URL, x509.NewCertPool())
	if _, err := Fetch(t.Context(), job); err == nil || s.requests.Load() != 0 {
		t.Errorf("Fetch = %v, %d requests", err, s.requests.Load())
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := newServer(t, http.NotFoundHandler())
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	f := newFile(t, "v2", 1000)
	job := newServer(t, f).job(t)
	if _, err := Fetch(t.Context(), job); err != nil || proxy.requests.Load() != 0 {
		t.Errorf("Fetch = %v, the proxy had %d requests", err, proxy.requests.Load())
	}
}

// Each of these servers would hold a connection for ever.
func TestSlowServersAreGivenUpInTime(t *testing.T) {
	f := newFile(t, "v2", 3_000_000)
	for name, h := range map[string]http.HandlerFunc{
		"says nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"stops after its headers": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"stops within the root": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(f.bytes)))
			_, _ = w.Write(f.bytes[:400_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"gives a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			for i := 0; r.Context().Err() == nil; i++ {
				_, _ = w.Write(f.bytes[i : i+1])
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond) // slower than the limit by far, on any machine
			}
		},
	} {
		s := newServer(t, h)
		job := s.job(t)
		job.Limits.Stall = 300 * time.Millisecond
		began := time.Now()
		_, err := Fetch(t.Context(), job)
		if took := time.Since(began); err == nil || took > 30*time.Second {
			t.Errorf("%s: %v after %v", name, err, took)
		}
		if name == "stops within the root" && job.Spool.Partial(f.manifest.Root()) == 0 {
			t.Errorf("%s: nothing is kept of the root", name)
		}
	}
}

// A server that does not even shake hands.
func TestSilentPortIsGivenUpInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	job := newJob(t, "https://"+l.Addr().String()+"/", nil)
	job.Limits.Stall = 200 * time.Millisecond
	began := time.Now()
	if _, err := Fetch(t.Context(), job); err == nil || time.Since(began) > 30*time.Second {
		t.Errorf("Fetch = %v after %v", err, time.Since(began))
	}
}

func TestAllOfItHasALimitOfTime(t *testing.T) {
	f := newFile(t, "v2", 3_000_000)
	s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.ServeHTTP(&brokenWriter{ResponseWriter: w, left: headSpan + 70_000}, r)
	}))
	job := s.job(t)
	job.Limits.Total, job.Limits.Pause = 100*time.Millisecond, time.Minute
	began := time.Now()
	if _, err := Fetch(t.Context(), job); err == nil || time.Since(began) > 30*time.Second {
		t.Errorf("Fetch = %v after %v", err, time.Since(began))
	}
}

// What never ends is read as far as the manifest goes.
func TestEndlessServers(t *testing.T) {
	f := newFile(t, "v2", 300_000)
	endless := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(b)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}
	}
	job := newServer(t, endless(f.bytes)).job(t)
	if _, err := Fetch(t.Context(), job); err != nil {
		t.Errorf("zeros behind the bundle: %v", err)
	}
	wantWhole(t, "zeros behind the bundle", job, f)
	failure(t, "nothing but zeros", newServer(t, endless(nil)).job(t), update.ErrBundle, "")
	long := newFile(t, "v2", 300_000)
	long.manifest.Parts[0].Size++ // its root is not where the manifest says
	raw, err := long.manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = update.WriteBundle(&b, raw, []byte("s"), long.manifest.Parts, func(p update.Part) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(long.content[p.SHA256])), nil
	})
	failure(t, "zeros in the place of parts", newServer(t, endless(b.Bytes())).job(t), update.ErrPart, "")
}
