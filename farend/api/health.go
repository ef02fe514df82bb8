// What a load balancer or an orchestrator asks: whether the process lives, and whether it can work.

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/diskspace"
)

const (
	// checkMax is how long a check may take.
	checkMax = 2 * time.Second
	// checkKeep is how long what was found is good: whoever asks all the time costs the database nothing.
	checkKeep = time.Second
)

// A Check is one thing that a server needs. Name is a word, such as database; what it finds goes to the log.
type Check struct {
	Name string
	Find func(context.Context) error
}

// diskFreeMin is what the database and its log need for a day of many cameras.
const diskFreeMin = 64 << 20

// DiskCheck is whether something can be written to the file system of a folder.
func DiskCheck(path string) Check {
	return Check{Name: "disk", Find: func(context.Context) error {
		space, err := diskspace.Of(path)
		if err == nil && space.Free < diskFreeMin {
			err = fmt.Errorf("%s: %d MiB are free, want %d", path, space.Free>>20, diskFreeMin>>20)
		}
		return err
	}}
}

// Healthz answers GET /healthz: the process lives.
func Healthz() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeState(w, r, http.StatusOK, map[string]any{"alive": true})
	})
}

// Readyz answers GET /readyz: 200 if all checks are good, else 503. It says which is not, and not why:
// anybody may ask.
func Readyz(log *slog.Logger, now func() time.Time, checks ...Check) http.Handler {
	r := &readiness{log: log, now: now, checks: checks, failing: map[string]bool{}}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		found, ready := r.look()
		status := http.StatusOK
		if !ready {
			status = http.StatusServiceUnavailable
		}
		writeState(w, request, status, map[string]any{"ready": ready, "checks": found})
	})
}

func writeState(w http.ResponseWriter, r *http.Request, status int, state map[string]any) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		status, state = http.StatusMethodNotAllowed, map[string]any{"error": "here is GET only"}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(state) // whoever is gone needs no answer
}

// A readiness remembers what was found last.
type readiness struct {
	log    *slog.Logger
	now    func() time.Time
	checks []Check

	// mu guards what follows. Checks run and are logged under it, each limited by checkMax, so that many
	// who ask at once are one: none of them calls back.
	mu      sync.Mutex
	at      time.Time
	found   map[string]string
	ready   bool
	failing map[string]bool
}

func (r *readiness) look() (found map[string]string, ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.found == nil || now.Sub(r.at).Abs() >= checkKeep {
		r.check()
		r.at = r.now()
	}
	return r.found, r.ready
}

// check runs all checks at once.
func (r *readiness) check() {
	ctx, cancel := context.WithTimeout(context.Background(), checkMax)
	defer cancel()
	errs := make([]error, len(r.checks))
	var running sync.WaitGroup
	for i, one := range r.checks {
		running.Go(func() { errs[i] = one.Find(ctx) })
	}
	running.Wait()
	r.found, r.ready = map[string]string{}, true
	for i, one := range r.checks {
		r.found[one.Name] = "ok"
		if errs[i] != nil {
			r.found[one.Name], r.ready = "failing", false
		}
		switch failing := errs[i] != nil; {
		case failing && !r.failing[one.Name]:
			r.log.Error("not ready", "check", one.Name, "error", errs[i])
		case !failing && r.failing[one.Name]:
			r.log.Info("ready again", "check", one.Name)
		}
		r.failing[one.Name] = errs[i] != nil
	}
}
