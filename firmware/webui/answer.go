// Answers: JSON, one form for all errors, and nothing that a browser could take for something else.

package webui

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// An Endpoint handles requests by path and method: "POST /api/v1/reboot".
type Endpoint struct {
	Method, Path string
	Open         bool // a stranger may ask; IsOwner tells it who asks
	Handle       http.HandlerFunc
}

// A Site answers for all endpoints: it checks where a request comes from and whose it is.
type Site struct {
	Guard     *Guard
	Endpoints []Endpoint
	Log       *slog.Logger
}

// ServeHTTP finds the endpoint. A panic of it is a line in the log and an error for who asks.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("web", "error", p, "path", r.URL.Path, "stack", string(debug.Stack()))
			WriteError(w, http.StatusInternalServerError, "the board has a defect: its log says more")
		}
	}()
	setHeaders(w.Header())
	endpoint, methods := s.find(r)
	switch {
	case endpoint == nil && methods == nil:
		WriteError(w, http.StatusNotFound, "there is no such page on a krazycam: docs/api.md lists them")
	case endpoint == nil:
		w.Header().Set("Allow", strings.Join(methods, ", "))
		WriteError(w, http.StatusMethodNotAllowed, "this is asked by "+strings.Join(methods, " or "))
	case crossOrigin(r):
		WriteError(w, http.StatusForbidden, "a page of another site has asked this: it may not")
	case endpoint.Open && (r.Header.Get("Authorization") == "" || !s.Guard.PasswordSet()):
		endpoint.Handle(w, r)
	case s.mayPass(w, r):
		endpoint.Handle(w, r.WithContext(context.WithValue(r.Context(), ownerKey{}, true)))
	}
}

// setHeaders keeps browsers from guessing, framing and remembering.
func setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
}

func (s *Site) find(r *http.Request) (found *Endpoint, methods []string) {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.Path != r.URL.Path {
			continue
		}
		if e.Method == r.Method {
			return e, nil
		}
		methods = append(methods, e.Method)
	}
	slices.Sort(methods)
	return nil, methods
}

// crossOrigin finds a page of another site that uses the password which the owner's browser
// remembers. Programs such as curl send neither of the headers that browsers do.
func crossOrigin(r *http.Request) bool { return new(http.CrossOriginProtection).Check(r) != nil }

// mayPass answers who may not.
func (s *Site) mayPass(w http.ResponseWriter, r *http.Request) bool {
	err := s.check(r)
	var wait *WaitError
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrNoPassword):
		WriteError(w, http.StatusForbidden, err.Error())
	case errors.Is(err, ErrWrongPassword):
		w.Header().Set("WWW-Authenticate", `Basic realm="krazycam", charset="UTF-8"`)
		WriteError(w, http.StatusUnauthorized, err.Error())
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(wait.Seconds()))
		WriteError(w, http.StatusTooManyRequests, err.Error())
	default: // the connection ended meanwhile
		WriteError(w, http.StatusServiceUnavailable, "too busy")
	}
	return false
}

func (s *Site) check(r *http.Request) error {
	if !s.Guard.PasswordSet() {
		return ErrNoPassword
	}
	user, password, given := r.BasicAuth()
	if !given {
		return ErrWrongPassword // a browser asks for it then; it is not counted
	}
	return s.Guard.Check(r.Context(), RemoteAddr(r.RemoteAddr), user, password)
}

// ownerKey is in the context of a request whose password was right.
type ownerKey struct{}

// IsOwner says whether a request had the right password, for endpoints that are open to strangers, too.
func IsOwner(r *http.Request) bool { return r.Context().Value(ownerKey{}) != nil }

// WriteJSON answers with one JSON object.
func WriteJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // it has no type that could not be
		code, b = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // who has gone needs no answer
}

// WriteError says no, in words for the owner.
func WriteError(w http.ResponseWriter, code int, text string) {
	WriteJSON(w, code, struct {
		Error string `json:"error"`
	}{text})
}
