package main

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stubbornServices are processes of which each needs its time to end after SIGTERM.
type stubbornServices struct {
	needs   map[string]time.Duration
	pids    map[string]int
	stopped map[string]time.Duration
	killed  map[int]bool
	now     time.Duration
}

func (s *stubbornServices) look(path string) (process, error) {
	if s.pids[path] == 0 {
		return process{}, errors.New("no such service")
	}
	return process{Pid: s.pids[path]}, nil
}

func (s *stubbornServices) stop(path string) error {
	s.stopped[path] = s.now
	return nil
}

func (s *stubbornServices) signal(pid int, signal unix.Signal) error {
	if signal == unix.SIGKILL {
		s.killed[-pid] = true
		return nil
	}
	for path, p := range s.pids {
		if at, ok := s.stopped[path]; p == pid && ok && s.now-at < s.needs[path] && !s.killed[pid] {
			return nil
		}
	}
	return unix.ESRCH
}

func TestServicesGetTimeToEndAndNoMore(t *testing.T) {
	for _, c := range []struct {
		name  string
		needs map[string]time.Duration
		left  []string
		after time.Duration
		kills int
	}{
		{"all end at once", map[string]time.Duration{}, nil, 0, 0},
		{"camsource says BYE", map[string]time.Duration{sourcePath: time.Second}, nil, time.Second, 0},
		{"one hangs", map[string]time.Duration{sourcePath: time.Second, webPath: time.Hour}, nil, stopTimeout, 1},
	} {
		s := &stubbornServices{
			needs: c.needs, pids: map[string]int{sourcePath: 7, webPath: 8},
			stopped: map[string]time.Duration{}, killed: map[int]bool{},
		}
		paths := []string{sourcePath, webPath, "/user/gone"}
		ending := stopper{s, paths, s.signal, func(d time.Duration) { s.now += d }}
		left := ending.stopAll()
		if !slices.Equal(left, c.left) || s.now != c.after || len(s.killed) != c.kills {
			t.Errorf("%s: left %v after %v with %d kills, want %v after %v with %d",
				c.name, left, s.now, len(s.killed), c.left, c.after, c.kills)
		}
	}
}

// gokrazy's handlers, as far as they are used: its own are in the programs' tests with a board.
func TestSupervisionSpeaksToGokrazysHandlers(t *testing.T) {
	ordered := map[string]string{} // the path of each order's program
	mux := http.NewServeMux()
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("path") != sourcePath || r.Header.Get("Accept") != "application/json" {
			http.Error(w, "service not found", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"Stopped":false,"StartTime":"2026-01-01T00:00:00Z","Pid":321}`))
	})
	order := func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("gokrazy_xsrf")
		if r.Method != http.MethodPost || err != nil || cookie.Value != r.FormValue("xsrftoken") {
			http.Error(w, "XSRF", http.StatusForbidden)
			return
		}
		ordered[r.URL.Path] = r.FormValue("path")
		http.Redirect(w, r, "/status", http.StatusSeeOther)
	}
	mux.HandleFunc("/stop", order)
	mux.HandleFunc("/restart", order)
	s := supervision{mux}
	if p, err := s.look(sourcePath); err != nil || p.Pid != 321 || p.StartTime.Year() != 2026 {
		t.Errorf("look = %+v, %v", p, err)
	}
	if p, err := s.look("/user/none"); err == nil {
		t.Errorf("look at no service = %+v", p)
	}
	err := errors.Join(s.stop(sourcePath), s.start(webPath))
	if want := map[string]string{"/stop": sourcePath, "/restart": webPath}; err != nil || !maps.Equal(ordered, want) {
		t.Errorf("orders %v, %v, want %v", ordered, err, want)
	}
}
