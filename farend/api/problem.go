// What went wrong, as RFC 9457 has it, in words that say what to do.

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// A Problem is an answer that says no: application/problem+json (RFC 9457). Its type is about:blank, so
// Title is the status in words; Code tells apart what has one status.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`            // short and stable, for programs
	Detail string `json:"detail"`          // for people: what is wrong, and what to do
	Field  string `json:"field,omitempty"` // the member of the body, or the parameter, that is to blame

	retryAfter time.Duration
	cause      error // for the log
}

// Error gives the words.
func (p *Problem) Error() string { return p.Detail }

// Unwrap gives the cause, which no client sees.
func (p *Problem) Unwrap() error { return p.cause }

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code,
		Detail: fmt.Sprintf(format, args...)}
}

// badField is a body or a query with a value that cannot be.
func badField(field, format string, args ...any) *Problem {
	p := problem(http.StatusBadRequest, "bad-value", "%s: %s", field, fmt.Sprintf(format, args...))
	p.Field = field
	return p
}

func notFound(what string) *Problem {
	return problem(http.StatusNotFound, "not-found",
		"there is no such %s, or it is not yours: list what there is", what)
}

func needsAdministrator() *Problem {
	return problem(http.StatusForbidden, "administrator-only",
		"this needs the administrator's token, and you came with the API key of a customer")
}

const databaseRetry = 5 * time.Second

// problemOf finds the answer to an error of a handler.
func problemOf(err error) *Problem {
	var p *Problem
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &body):
		p = problem(http.StatusRequestEntityTooLarge, "too-long", "the body may have %d bytes", body.Limit)
	case errors.Is(err, store.ErrUnknown):
		p = notFound("thing")
	case errors.Is(err, store.ErrUnavailable):
		p = problem(http.StatusServiceUnavailable, "database",
			"the database cannot be reached: running streams go on; try again")
		p.retryAfter = databaseRetry
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // a client that left, an end
		p = problem(http.StatusServiceUnavailable, "too-slow", "the server took longer than %v: try again", handleMax)
		p.retryAfter = databaseRetry
	default:
		p = problem(http.StatusInternalServerError, "defect",
			"the server failed; its log says why, at the time of this answer's Date")
	}
	p.cause = err
	return p
}

func (p *Problem) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Del("ETag")
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="camserver"`)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(p.Status)
	return json.NewEncoder(w).Encode(p)
}
