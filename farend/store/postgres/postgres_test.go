package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/postgres/postgrestest"
	"github.com/krazycam/krazycam/farend/store/storetest"
)

func opened(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	server := postgrestest.Start(t)
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		url := server.Database(t)
		return func(t testing.TB) *store.Store { return opened(t, url) }
	})
	t.Run("a database of the first schema", func(t *testing.T) {
		url := server.Database(t)
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		storetest.RunFirstSchema(t, db, serial, func(t testing.TB) *store.Store { return opened(t, url) })
	})
	s := opened(t, server.Database(t))
	if err := s.Backup(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("Backup = %v, want a word of pg_dump", err)
	}
}

func TestOpenFailsInTimeAndWithoutThePassword(t *testing.T) {
	start := time.Now()
	for _, url := range []string{
		"postgres://anna:secret@127.0.0.1:1/x", "postgres://anna:secret@[::1/x", "host=/nowhere password=secret",
	} {
		_, err := Open(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v, want an error without the password", url, err)
		}
	}
	_, err := Open(t.Context(), "postgres://127.0.0.1:1/x?sslmode=disable")
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Open = %v, want ErrUnavailable", err)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}

// An outage has an end: who asks meanwhile hears of it soon, and who asks later notices nothing.
func TestDatabaseIsGoneForAWhile(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	s := opened(t, server.Database(t))
	id, err := s.AddCustomer(t.Context(), store.Customer{Name: "anna", KeyHash: store.HashKey("k")})
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []struct {
		name string
		end  func(testing.TB)
	}{{"stopped", server.Stop}, {"killed", server.Kill}} {
		t.Run(how.name, func(t *testing.T) {
			storetest.Busy(t, s) // so that the pool has all of its connections
			how.end(t)
			for range 3 {
				start := time.Now()
				_, err := s.CustomerByID(t.Context(), id)
				if took := time.Since(start); !errors.Is(err, store.ErrUnavailable) || took > 3*callTimeout {
					t.Errorf("during the outage: %v after %v, want ErrUnavailable at once", err, took)
				}
			}
			server.Restart(t)
			// The pool's connections are all broken, and none of them costs an answer.
			if err := s.SetSetting(t.Context(), "colour", how.name); err != nil {
				t.Errorf("the first change after it: %v", err)
			}
			if _, err := s.CustomerByID(t.Context(), id); err != nil {
				t.Errorf("what was acknowledged before it: %v", err)
			}
		})
	}
}

// A network that swallows everything says nothing of an outage: the limit of time does.
func TestServerThatFallsSilentCostsTheTimeout(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	p := newRelay(t, server.Dir)
	s := opened(t, server.Database(t)+fmt.Sprintf("&port=%d", relayPort))
	storetest.Busy(t, s)
	p.silent.Store(true)
	start := time.Now()
	_, err := s.Customers(t.Context())
	if took := time.Since(start); !errors.Is(err, store.ErrUnavailable) || took > 3*callTimeout {
		t.Errorf("Customers = %v after %v, want ErrUnavailable after %v", err, took, callTimeout)
	}
	p.silent.Store(false)
	p.reset()
	if err := s.SetSetting(t.Context(), "colour", "green"); err != nil {
		t.Errorf("the first change after it: %v", err)
	}
}

const relayPort = 6000

// A relay passes on what goes to a server and back, or swallows it.
type relay struct {
	silent atomic.Bool
	mu     sync.Mutex // guards conns
	conns  []net.Conn
}

func newRelay(t testing.TB, dir string) *relay {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", relayPort)))
	if err != nil {
		t.Fatal(err)
	}
	p := &relay{}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		p.reset()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", filepath.Join(dir, ".s.PGSQL.5432"))
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, to)
			p.mu.Unlock()
			all.Go(func() { p.pass(c, to) })
			all.Go(func() { p.pass(to, c) })
		}
	})
	return p
}

func (p *relay) pass(from io.Reader, to net.Conn) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if p.silent.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// reset ends all connections.
func (p *relay) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func BenchmarkStore(b *testing.B) {
	url := postgrestest.Start(b).Database(b)
	storetest.Benchmark(b, func(t testing.TB) *store.Store { return opened(t, url) })
}
