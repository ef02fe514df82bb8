//go:build long

// Update servers that are slow, broken, endless or elsewhere, against a board that streams: it says what is
// wrong, goes on streaming, and takes the update from the first server that gives it.

package rig

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// A badServer is one, and what the board's status says of it.
type badServer struct {
	name  string // in its path
	says  string
	serve http.HandlerFunc
}

// badServers serve a bundle, each in its own way.
func badServers(b *update.Bundle, f *os.File) []badServer {
	head := func(w http.ResponseWriter) { // all that is right about it
		at, _ := update.Offsets(b.Manifest.Parts, len(b.Raw), len(b.Signature))
		_, _ = io.Copy(w, io.NewSectionReader(f, 0, at[0]))
	}
	return []badServer{
		{"missing", "404", http.NotFound},
		{"round", "redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}},
		{"plain", "no https", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+r.URL.Path, http.StatusFound)
		}},
		{"board", "address", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1/"+r.URL.Path, http.StatusFound)
		}},
		{"endless", "bundle", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, endless{}) }},
		{"zeros", "sha256", func(w http.ResponseWriter, _ *http.Request) {
			head(w)
			_, _ = io.Copy(w, endless{})
		}},
		{"slow", "too slow", func(w http.ResponseWriter, r *http.Request) {
			head(w)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{0})
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}},
	}
}

// breaking serves a file, and hangs up after each megabyte.
func breaking(f *os.File, size int64, answers *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answers.Add(1)
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(&breakingWriter{w, 1 << 20}, r, "", time.Time{}, io.NewSectionReader(f, 0, size))
	}
}

type breakingWriter struct {
	http.ResponseWriter
	left int
}

func (w *breakingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return w.ResponseWriter.Write(b)
}

func TestABoardOutlivesBadUpdateServersInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	b, f := u.signer.bundleFile(t, u.content.withMark("pulled"), "v-pulled")
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	servers := badServers(b, f)
	var answers atomic.Int32
	servers = append(servers, badServer{"breaking", "", breaking(f, info.Size(), &answers)})
	var offered atomic.Pointer[string]
	serve := func(w http.ResponseWriter, r *http.Request) {
		for _, s := range servers {
			if strings.HasPrefix(r.URL.Path, rollout.PathPrefix+s.name) {
				s.serve(w, r)
				return
			}
		}
		http.NotFound(w, r)
	}
	var d *pullDesk
	d = startPullDesk(t, u, http.HandlerFunc(serve), func(context.Context, string, wire.Board, string) *wire.Update {
		name := offered.Load()
		if name == nil {
			return nil
		}
		url := strings.TrimSuffix(d.url, "/") + rollout.PathPrefix + *name
		return &wire.Update{URL: url, Version: "v-" + *name, Now: true}
	})
	d.askHere(t, u)
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	for _, s := range servers[:len(servers)-1] {
		before := u.tap.counted()
		began := time.Now()
		offered.Store(&s.name)
		pull := ""
		for !strings.Contains(pull, "v-"+s.name+" is not taken") && !strings.Contains(pull, "v-"+s.name+" could not") {
			time.Sleep(time.Second)
			pull = u.streams(ctx, t, "a").Pull
		}
		now := u.tap.counted()
		t.Logf("FIGURE rpi: server %q after %.0f s: %s; meanwhile %d packets, %d lost", s.name,
			time.Since(began).Seconds(), pull, now.packets-before.packets, now.lost-before.lost)
		if !strings.Contains(pull, s.says) {
			t.Errorf("server %q: %q, want %q", s.name, pull, s.says)
		}
		if now.packets == before.packets || now.lost != before.lost || u.Boots() != 1 {
			t.Errorf("server %q: %d packets, %d lost, %d starts", s.name, now.packets-before.packets,
				now.lost-before.lost, u.Boots())
		}
	}
	last := "breaking"
	began := time.Now()
	offered.Store(&last)
	if s := u.streams(ctx, t, "b"); s.Version != "v-pulled" {
		t.Errorf("the board runs %s, want v-pulled", s.Version)
	}
	t.Logf("FIGURE rpi: fetched over %d connections that broke after 1 MiB each, and promoted, in %.0f s",
		answers.Load(), time.Since(began).Seconds())
}
