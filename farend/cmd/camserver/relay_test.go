// A relay between a server and its database, which can begin to swallow what it gets.

package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A relay takes connections to a PostgreSQL and hands on what comes, until it swallows: then nothing is
// answered any more, and nobody is told so.
type relay struct {
	from, to string // folders of sockets
	swallows atomic.Bool
}

// socketName is that of PostgreSQL's socket in its folder.
const socketName = ".s.PGSQL.5432"

// startRelay relays to the PostgreSQL whose socket is in a folder.
func startRelay(t *testing.T, to string) *relay {
	t.Helper()
	from, err := os.MkdirTemp("", "krazycam-relay-") // short: the name of a socket may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(from, socketName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), os.RemoveAll(from) })
	r := &relay{from: from, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

// url is that of a database by way of the relay.
func (r *relay) url(database string) string { return strings.Replace(database, r.to, r.from, 1) }

// serve ends when the server has closed its side.
func (r *relay) serve(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("unix", filepath.Join(r.to, socketName))
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(swallower{r, from}, to) }()
	_, _ = io.Copy(swallower{r, to}, from)
}

// A swallower writes on while its relay does not swallow.
type swallower struct {
	relay *relay
	to    io.Writer
}

func (s swallower) Write(b []byte) (int, error) {
	if s.relay.swallows.Load() {
		return len(b), nil
	}
	return s.to.Write(b)
}
