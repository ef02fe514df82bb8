// Package postgrestest starts a PostgreSQL of a test's own: a new cluster in a folder of its own, that
// listens on a Unix socket there and nowhere else. It is for tests of all packages.
//
// The test's end stops the server and removes the folder. The server ends, too, if the test's process
// does: a shell between the two waits for that.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	startTimeout = 2 * time.Minute // of a slow, busy machine
	callTimeout  = 30 * time.Second
	user         = "krazycam"
)

// A Server is a running PostgreSQL.
type Server struct {
	Dir      string // has the socket, named by port 5432
	programs string
	as       []string // what a command begins with, so that it is not root's
	running  *exec.Cmd
	leash    io.Closer // its end ends the server
	log      bytes.Buffer
	made     atomic.Int64
}

// Start makes a cluster and starts its server. Without PostgreSQL the test is skipped, or fails where
// nothing may be skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		need.Missing(t, "PostgreSQL: install with scripts/setup")
	}
	// Not t.TempDir: the name of a socket may have 107 bytes, and others must get there.
	dir, err := os.MkdirTemp("", "krazycam-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &Server{Dir: dir, programs: filepath.Dir(slices.Max(found))}
	s.leaveRoot(t)
	cmd := s.command("initdb", "--pgdata="+s.data(), "--username="+user, "--auth=trust", "--no-locale",
		"--encoding=UTF8", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Restart(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// leaveRoot has the folder's programs run as nobody, since PostgreSQL refuses root.
func (s *Server) leaveRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	need.Tools(t, "setpriv")
	const nobody = 65534
	if err := os.Chown(s.Dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(nobody)
	s.as = []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups"}
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	all := append(append(slices.Clone(s.as), filepath.Join(s.programs, program)), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Dir = s.Dir
	return cmd
}

// leashed ends a server once nothing can write to its input any more. In the background, a shell gives
// /dev/null as input.
const leashed = `"$@" & server=$!; read -r _; kill -INT $server; wait $server`

// Restart starts a server that is stopped, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	server := s.command("postgres", "-D", s.data(), "-k", s.Dir, "-c", "listen_addresses=", "-c", "fsync=off")
	cmd := exec.Command("sh", append([]string{"-c", leashed, "postgres"}, server.Args...)...)
	cmd.Dir = s.Dir
	s.log.Reset()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.running, s.leash = cmd, input
	for end := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		err := s.run("SELECT 1")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.Stop(t)
			t.Fatalf("PostgreSQL does not answer within %v: %v\n%s", startTimeout, err, s.log.Bytes())
		}
	}
}

// Stop ends the server, which disconnects everybody; nothing that was acknowledged is lost.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.running == nil {
		return
	}
	_ = s.leash.Close()  // the shell may have ended
	_ = s.running.Wait() // what counts is that it did
	s.running = nil
}

// Kill ends the server at once, as a machine that fails does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	b, err := openfile.Read(filepath.Join(s.data(), "postmaster.pid"), 1<<10)
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, bad := strconv.Atoi(string(line))
	if err != nil || bad != nil {
		t.Fatalf("the server's number: %v, %v", err, bad)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
}

// Database makes an empty database and gives its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.made.Add(1))
	if err := s.run("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return s.URL(name)
}

// URL is where a database is.
func (s *Server) URL(name string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&user=%s", name, s.Dir, user)
}

func (s *Server) run(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}
