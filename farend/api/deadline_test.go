package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener accepts one connection, in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { close(l.closed); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// askSlow sends one request to an http.Server with the limits of a camserver and a route of 10 s.
func askSlow(t *testing.T, request string, reads bool) (status int, body string, took time.Duration, canceled bool) {
	t.Helper()
	a := &API{config: Config{Log: slog.New(slog.DiscardHandler)}}
	h := a.handle(route{forAll: true, give: func(w http.ResponseWriter, r *http.Request, _ Caller) (answer, error) {
		if reads {
			var name string
			if err := readBody(w, r, fields{"name": text(&name, 1, 10)}); err != nil {
				return answer{}, err
			}
		}
		<-r.Context().Done()
		canceled = r.Context().Err() == context.Canceled
		return answer{}, fmt.Errorf("a slow thing: %w", r.Context().Err())
	}})
	server := http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	l := &pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()
	client, conn := net.Pipe()
	l.conns <- conn
	began := time.Now()
	go func() { _, _ = io.WriteString(client, request) }() // what the server does not take shows in the answer
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	took = time.Since(began)
	_ = client.Close()
	_ = server.Close()
	<-ended
	return resp.StatusCode, string(b), took, canceled
}

func TestRequestThatTakesTooLongIsAnsweredWith503(t *testing.T) {
	for name, one := range map[string]struct {
		request string
		reads   bool
	}{
		"without a body": {"GET /x HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"with a body that was read": {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
			"Content-Length: 12\r\n\r\n{\"name\":\"x\"}", true},
		"with a body that nobody reads": {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				status, body, took, canceled := askSlow(t, one.request, one.reads)
				if status != 503 || !strings.Contains(body, "too-slow") || took != handleMax || canceled {
					t.Errorf("%d %s after %v, canceled %v, want 503 after %v", status, body, took, canceled, handleMax)
				}
			})
		})
	}
}

func TestBodyThatDoesNotComeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const request = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
			"Content-Length: 12\r\n\r\n{\"na"
		status, body, took, _ := askSlow(t, request, true)
		if status < 400 || body == "" || took > handleMax+time.Second {
			t.Errorf("%d %q after %v, want a problem within %v", status, body, took, handleMax)
		}
	})
}
