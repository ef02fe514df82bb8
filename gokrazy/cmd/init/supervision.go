// What gokrazy's supervision knows of the services, and how one is stopped. gokrazy exports neither,
// but its HTTP handlers are in this process: they are called without a socket.
// Source: github.com/gokrazy/gokrazy, supervise.go and status.go.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The services, by the paths of their programs.
const (
	sourcePath = "/user/camsource"
	webPath    = "/user/camweb"
)

// A process is what gokrazy says of a service's latest process. Its pid is kept after it has ended.
type process struct {
	Pid       int
	StartTime time.Time
	Stopped   bool // it is not started again
}

// A supervision asks gokrazy.
type supervision struct{ handler http.Handler }

// look gives the latest process of the program at path.
func (s supervision) look(path string) (process, error) {
	body, err := s.call(http.MethodGet, "/status?path="+url.QueryEscape(path), nil)
	if err != nil {
		return process{}, err
	}
	var p process
	if err := json.Unmarshal(body, &p); err != nil {
		return process{}, fmt.Errorf("service %s: %w", path, err)
	}
	return p, nil
}

// stop sends SIGTERM to the program and all that it started; it is not started again.
func (s supervision) stop(path string) error { return s.order("/stop", path) }

// start starts the program again if it is stopped. A process that runs would be sent SIGTERM.
func (s supervision) start(path string) error { return s.order("/restart", path) }

func (s supervision) order(target, path string) error {
	_, err := s.call(http.MethodPost, target, url.Values{"path": {path}, "xsrftoken": {"1"}})
	return err
}

// call makes one request. The token against forged requests of web pages is one that we choose
// ourselves: no page comes here.
func (s supervision) call(method, target string, form url.Values) ([]byte, error) {
	r, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: "gokrazy_xsrf", Value: "1"})
	}
	var w answer
	s.handler.ServeHTTP(&w, r)
	if w.status >= http.StatusBadRequest {
		return nil, fmt.Errorf("gokrazy: %s %s: %d %s", method, target, w.status, bytes.TrimSpace(w.body.Bytes()))
	}
	return w.body.Bytes(), nil
}

// An answer is an http.ResponseWriter that keeps what comes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
