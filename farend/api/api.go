// Package api is how programs and people's pages ask a server at the far end: a JSON API below /api/v1,
// described by openapi.json, and the state of the process for load balancers.
//
// An API reads and changes a store.Store, and asks the receiver of this process for what is of the moment.
// Each request has a Caller: the administrator, or a customer, who sees its own things and nobody else's:
// what belongs to others is answered as if it did not exist. Sizes and times of requests are limited. An
// API owns no goroutine.
//
// Sources: RFC 9457 (problems), RFC 9110 section 13 (If-Match), RFC 6585 section 3 (428).
package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // openapi.json
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/history"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
)

// Prefix is where all paths of the API begin.
const Prefix = "/api/v1"

// handleMax is how long a request may take, files and CSV excepted.
const handleMax = 10 * time.Second

// A Live is the receiver of this process.
type Live interface {
	Stats(id string) (stream.Stats, bool)
	AllStats(to []stream.Named) []stream.Named
	RequestKeyFrame(id string) error // stream.ErrUnknown: it is not here
}

// Servers are the video servers of all processes; *videoserver.Cluster has them.
type Servers interface {
	ByName(ctx context.Context, name string) (stream.VideoServer, error)
}

// Config is what an API works with. Store, Live, History, Servers and Authenticate are required.
type Config struct {
	Store        *store.Store
	Live         Live
	History      *history.History
	Servers      Servers
	Authenticate Authenticator

	Recordings  Recordings             // nil: nothing is recorded here
	Forwardings func() []forward.State // nil: nothing is handed on

	// Observe is told of each answer, for metrics; nil: nobody is.
	Observe func(method string, status int)

	Server string // name of this one among those that share the database
	Now    func() time.Time
	Log    *slog.Logger
}

// An API is an http.Handler for paths below Prefix. It is safe for use by several goroutines.
type API struct {
	config Config
	mux    *http.ServeMux
}

// New makes an API.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, int) {}
	}
	a := &API{config: c, mux: http.NewServeMux()}
	for _, r := range a.routes() {
		if !strings.HasSuffix(r.path, "{id}.csv") { // a pattern of ServeMux cannot say so: getStream looks
			a.mux.Handle(r.method+" "+Prefix+r.path, a.handle(r))
		}
	}
	a.mux.HandleFunc("/", a.noRoute)
	return a
}

// An answer is what a handler gives: body as JSON, with status 200 if that is 0.
type answer struct {
	status   int
	body     any
	etag     string
	location string
}

// A route is one operation of openapi.json: give answers with JSON, write in its own way.
type route struct {
	method, path string
	give         func(http.ResponseWriter, *http.Request, Caller) (answer, error)
	write        func(http.ResponseWriter, *http.Request, Caller) error
	forAll       bool // without credentials
}

func (a *API) routes() []route {
	return []route{
		{method: "GET", path: "/openapi.json", write: writeOpenAPI, forAll: true},
		{method: "GET", path: "/me", give: a.me},
		{method: "GET", path: "/customers", give: a.listCustomers},
		{method: "POST", path: "/customers", give: a.addCustomer},
		{method: "GET", path: "/customers/{id}", give: a.getCustomer},
		{method: "PATCH", path: "/customers/{id}", give: a.changeCustomer},
		{method: "DELETE", path: "/customers/{id}", give: a.removeCustomer},
		{method: "POST", path: "/customers/{id}/key", give: a.renewKey},
		{method: "GET", path: "/sources", give: a.listSources},
		{method: "GET", path: "/sources/{id}", give: a.getSource},
		{method: "PATCH", path: "/sources/{id}", give: a.changeSource},
		{method: "GET", path: "/sources/{id}/analysis", give: a.getAnalysis},
		{method: "GET", path: "/sources/{id}/recordings", give: a.listRecordings},
		{method: "GET", path: "/sources/{id}/recordings/{name}", write: a.writeRecording},
		{method: "DELETE", path: "/sources/{id}/recordings/{name}", give: a.removeRecording},
		{method: "GET", path: "/streams", give: a.listStreams},
		{method: "GET", path: "/streams.csv", write: a.writeAllCSV},
		{method: "GET", path: "/streams/{id}", write: a.writeStream},
		{method: "GET", path: "/streams/{id}.csv", write: a.writeStream},
		{method: "DELETE", path: "/streams/{id}", give: a.stopStream},
		{method: "POST", path: "/streams/{id}/keyframe", give: a.requestKeyFrame},
		{method: "GET", path: "/streams/{id}/stats", give: a.getStats},
		{method: "GET", path: "/stats", give: a.listStats},
		{method: "GET", path: "/events", give: a.listEvents},
		{method: "GET", path: "/servers", give: a.listServers},
		{method: "GET", path: "/forwardings", give: a.listForwardings},
		{method: "GET", path: "/offers", give: a.listOffers},
	}
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &statusWriter{ResponseWriter: w}
	h := seen.Header()
	h.Set("Cache-Control", "no-store") // answers are of the moment, and not everybody's
	h.Set("X-Content-Type-Options", "nosniff")
	a.mux.ServeHTTP(seen, r)
	a.config.Observe(r.Method, cmp.Or(seen.status, http.StatusOK)) // net/http's own of a handler that sets none
}

// A statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for an http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// handle makes a handler of a route: who asks, in which time, and what is answered.
func (a *API) handle(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == http.NoBody {
			endReadDeadline(w)
		} else { // a server that knows no deadlines has its own limits
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(handleMax))
		}
		ctx, cancel := context.WithTimeout(r.Context(), handleMax)
		defer cancel()
		limited := r.WithContext(ctx)
		var caller Caller
		var err error
		if !route.forAll {
			caller, err = a.authenticate(limited)
		}
		switch {
		case err != nil:
		case route.write != nil:
			err = route.write(w, r, caller)
		default:
			err = a.answer(w, limited, caller, route)
		}
		if err != nil {
			a.refuse(w, r, err)
		}
	})
}

// endReadDeadline is called once all of a request was read. net/http goes on to read, so as to see when the
// client leaves, and takes a deadline that passes meanwhile for a client that left.
func endReadDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a server that knows none needs no end of it
}

func (a *API) authenticate(r *http.Request) (Caller, error) {
	caller, err := a.config.Authenticate(r)
	if errors.Is(err, ErrNoAccess) {
		err = problem(http.StatusUnauthorized, "no-access",
			"send Authorization: Bearer and the administrator's token, which camserver keys admin makes, "+
				"or a customer's API key")
	}
	return caller, err
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, caller Caller, route route) error {
	got, err := route.give(w, r, caller)
	if err != nil {
		return err
	}
	return a.writeAnswer(w, r, got)
}

func (a *API) writeAnswer(w http.ResponseWriter, r *http.Request, got answer) error {
	h := w.Header()
	if got.etag != "" {
		h.Set("ETag", got.etag)
	}
	if got.location != "" {
		h.Set("Location", got.location)
	}
	switch {
	case got.body == nil:
		w.WriteHeader(http.StatusNoContent)
		return nil
	case got.etag != "" && r.Method == http.MethodGet && r.Header.Get("If-None-Match") == got.etag:
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	text, err := json.Marshal(got.body)
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(max(got.status, http.StatusOK))
	if _, err := w.Write(append(text, '\n')); err != nil {
		a.config.Log.Debug("api: answer", "to", r.RemoteAddr, "error", err)
	}
	return nil
}

// refuse answers with a problem. What is the server's own fault is logged: that a client left is not.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		level := slog.LevelError
		if r.Context().Err() != nil {
			level = slog.LevelDebug
		}
		a.config.Log.Log(r.Context(), level, "api: request failed", "method", r.Method, "path", printable(r.URL.Path),
			"status", p.Status, "error", err)
	}
	if err := p.write(w); err != nil {
		a.config.Log.Debug("api: answer", "to", r.RemoteAddr, "error", err)
	}
}

// noRoute answers what no route takes: with 405 where another method would do.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" {
			allow = append(allow, method)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.refuse(w, r, problem(http.StatusMethodNotAllowed, "method", "here are %s only", strings.Join(allow, " and ")))
		return
	}
	a.refuse(w, r, problem(http.StatusNotFound, "no-route",
		"there is no such path: %s/openapi.json has those that there are", Prefix))
}

// etagOf is a strong tag of what somebody may change.
func etagOf(of any) string {
	text, _ := json.Marshal(of) // of values that can be
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// checkMatch compares If-Match with the tag of what is there now. Without one, two administrators could
// overwrite each other's changes unseen.
func checkMatch(r *http.Request, now string) error {
	match := r.Header.Get("If-Match")
	if match == "" {
		return problem(http.StatusPreconditionRequired, "if-match-missing",
			"send If-Match with the ETag of what you have read, so that nobody else's change is lost; * is any")
	}
	for one := range strings.SplitSeq(match, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == now {
			return nil
		}
	}
	return problem(http.StatusPreconditionFailed, "changed",
		"somebody has changed it since you read it: read it again, then send your change with its ETag")
}

//go:embed openapi.json
var openAPI []byte

func writeOpenAPI(w http.ResponseWriter, _ *http.Request, _ Caller) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // whoever is gone needs no answer
	return nil
}
