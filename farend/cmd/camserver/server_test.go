// camserver as an operator runs it: start, end, second instance, certificates, kill -9 under load.

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
)

// active lists what the database of a state folder has as running, while a server may use it.
func active(t *testing.T, state string) []store.Stream {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(state, server.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.ActiveStreams(t.Context(), store.StreamFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Three of the real thing, each with the seed that the server wrote.
func TestThreeCamsourcesStreamToOneServer(t *testing.T) {
	t.Parallel()
	program := buildCamsource(t)
	state := t.TempDir()
	p := startServer(t, state)
	seed := p.first(t, "krazycam.json for a camera: ")
	for range 3 {
		startCamsource(t, program, seed)
	}
	streaming := func() (n int) {
		for _, one := range active(t, state) {
			if one.Stats.State == stream.StateStreaming && one.Stats.Frames > 20 {
				n++
			}
		}
		return n
	}
	took := waitFor(t, time.Minute, "three streams in the database", func() bool { return streaming() == 3 },
		func() string { return fmt.Sprint(active(t, state)) })
	for _, one := range active(t, state) {
		s := one.Stats
		if s.Lost != 0 || s.Width != 320 || s.SSRC != one.SSRC || s.Foreign != 0 {
			t.Errorf("stream %s: %+v", one.ID, s)
		}
	}
	code, ended := p.end(t, syscall.SIGTERM)
	if code != exitDone || ended > 5*time.Second {
		t.Errorf("after SIGTERM: exit code %d after %v", code, ended)
	}
	if left := active(t, state); len(left) != 0 {
		t.Errorf("streams that run after the end: %+v", left)
	}
	files, err := filepath.Glob(filepath.Join(state, "recordings", "*", "*", "*.webm"))
	if err != nil || len(files) != 3 {
		t.Errorf("recordings %v, %v, want one of each camera", files, err)
	}
	figure(t, "camserver: three camsources in its database %.1f s after its start, ended in %.2f s",
		took.Seconds(), ended.Seconds())
}

func TestServerEndsInOrderUnderLoad(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := startServer(t, state)
	lights, _ := startLights(t, 20, p.url, p.key(t), p.ca(t))
	waitFor(t, time.Minute, "20 streams", func() bool { return countStreaming(lights) == 20 },
		func() string { return describe(lights) })
	waitFor(t, time.Minute, "30 packets of each", func() bool { return leastSent(lights) >= 30 },
		func() string { return fmt.Sprint(leastSent(lights)) })
	code, took := p.end(t, os.Interrupt)
	if code != exitDone || took > 5*time.Second {
		t.Errorf("exit code %d after %v, want %d within 5 s", code, took, exitDone)
	}
	s, err := sqlite.Open(t.Context(), filepath.Join(state, server.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended, err := s.EndedStreams(t.Context(), store.StreamFilter{})
	if err != nil || len(ended) != 20 {
		t.Fatalf("%d ended streams, %v", len(ended), err)
	}
	for _, one := range ended {
		if one.Because != "its server was stopped" || one.Stats.Packets < 20 || one.Stats.Lost != 0 {
			t.Errorf("stream %s: because %q, %d packets, %d lost", one.ID, one.Because, one.Stats.Packets,
				one.Stats.Lost)
		}
	}
	figure(t, "camserver: ended in %.2f s with 20 streams", took.Seconds())
}

func TestSecondServerLeavesTheStateFolderAlone(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	p := startServer(t, state)
	second := launch(t, "--state", state, "--listen", "127.0.0.1:0", "--ports", "0,0", "--operator", "")
	<-second.ended
	const said = "another camserver uses it: give this one a folder of its own with --state"
	if code := second.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(second.log.String(), said) {
		t.Errorf("exit code %d: %s", code, second.log)
	}
	if code, _ := p.end(t, os.Interrupt); code != exitDone {
		t.Errorf("the first ended with %d", code)
	}
}

// The database forgets nothing that it answered, however often the server is killed, and the sources come
// back by themselves.
func TestServerThatIsKilledUnderLoadForgetsNothing(t *testing.T) {
	t.Parallel()
	kills, sources := 2, 20
	if isLong() {
		kills, sources = 20, 60 // so many ids one address gets at once
	}
	state := t.TempDir()
	listen, ports := freePort(t), freePorts(t)
	args := []string{"--listen", listen, "--ports", ports}
	p := startServer(t, state, args...)
	key, ca := p.key(t), p.ca(t)
	lights, stop := startLights(t, sources, p.url, key, ca)
	all := func() bool { return countStreaming(lights) == sources && len(active(t, state)) == sources }
	waitFor(t, time.Minute, "all streams", all, func() string { return describe(lights) })
	before := map[string]int64{}
	for _, one := range active(t, state) {
		before[one.Source.String()] = one.Customer
	}
	var slowest time.Duration
	for n := range kills {
		p.kill(t)
		p = startServer(t, state, args...)
		if strings.Contains(p.said.String(), "first start") {
			t.Fatalf("after kill %d it made a new key", n+1)
		}
		took := waitFor(t, 2*time.Minute, fmt.Sprintf("all streams after kill %d", n+1), all,
			func() string { return describe(lights) })
		slowest = max(slowest, took)
	}
	for _, one := range active(t, state) {
		if before[one.Source.String()] != one.Customer {
			t.Errorf("source %v belongs to customer %d now, before to %d", one.Source, one.Customer,
				before[one.Source.String()])
		}
	}
	if strings.Contains(p.log.String(), "database is locked") {
		t.Error("the database was locked")
	}
	stop()
	if left := active(t, state); len(left) != 0 {
		t.Errorf("%d streams run after their sources have stopped", len(left))
	}
	figure(t, "camserver: killed %d times under %d streams, all back within %.1f s of the start", kills, sources,
		slowest.Seconds())
}

// A start that fails half-way costs neither the key nor the ids: the next one goes on.
func TestFirstStartThatFailedHalfWayIsMadeUpFor(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const key = "a key of camctl receive"
	id := fmt.Sprintf(`{"id": "abc", "key_sha256": %q, "made": 1700000000, "used": 0}`+"\n", store.HashKey(key))
	write("key", key+"\n")
	write(server.OldIDs, "no id\n"+id)
	failed := launch(t, "--state", state, "--listen", "127.0.0.1:0", "--ports", "0,0", "--operator", "")
	<-failed.ended
	code, log := failed.cmd.ProcessState.ExitCode(), failed.log.String()
	if code != exitFailed || !strings.Contains(log, server.OldIDs) {
		t.Errorf("with a broken file of ids: exit code %d: %s", code, failed.log)
	}
	if got := failed.key(t); got != key {
		t.Errorf("it printed the key %q, want %q", got, key)
	}
	seed, err := os.ReadFile(failed.first(t, "krazycam.json for a camera: "))
	if err != nil || !strings.Contains(string(seed), key) {
		t.Errorf("seed %q, %v, want the key in it", seed, err)
	}
	write(server.OldIDs, id)
	p := startServer(t, state)
	p.end(t, os.Interrupt)
	s, err := sqlite.Open(t.Context(), filepath.Join(state, server.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if all, err := s.Sources(t.Context(), store.SourceFilter{}); err != nil || len(all) != 1 {
		t.Errorf("sources after the second start: %+v, %v, want the one of the file", all, err)
	}
}

// A certificate that was renewed is shown without a restart; a broken one is not.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := writePair(t, dir, "first.example")
	p := startServer(t, t.TempDir(), "--cert", cert, "--tls-key", key)
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		conn, err := tls.Dial("tcp", u.Host, &tls.Config{InsecureSkipVerify: true}) // its name is what we ask for
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return strings.Join(conn.ConnectionState().PeerCertificates[0].DNSNames, " ")
	}
	if got := shown(); got != "first.example" {
		t.Fatalf("it shows %q", got)
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, time.Minute, "a word about the broken one", func() bool {
		return strings.Contains(p.log.String(), "the old certificate goes on")
	}, p.log.String)
	if got := shown(); got != "first.example" {
		t.Errorf("after a broken file it shows %q", got)
	}
	writePair(t, dir, "second.example")
	waitFor(t, time.Minute, "the new one", func() bool { return shown() == "second.example" }, shown)
}

// writePair makes a certificate for host and its key in dir.
func writePair(t *testing.T, dir, host string) (certPath, keyPath string) {
	t.Helper()
	certPEM, keyPEM, err := gateway.MakeCertificate([]string{host}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string][]byte{keyPath: keyPEM, certPath: certPEM} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certPath, keyPath
}

func TestWrongConfigurationsAreSaidInOneLine(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "camserver.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	exposed := file("a:b")
	if err := os.Chmod(exposed, 0o644); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	quiet := []string{"--state", state, "--listen", "127.0.0.1:0", "--ports", "0,0", "--operator", ""}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--config", file("{\n\"log\": {\"levl\": 1}}")}, exitUsage, ":2: log.levl: unknown key"},
		{[]string{"--config", file("{\"log\": {\"level\": \"loud\"}}")}, exitUsage, "must be one of debug"},
		{[]string{"--config", filepath.Join(state, "none")}, exitFailed, "no such file"},
		{[]string{"--ports", "80"}, exitUsage, "must be from 1024"},
		{[]string{"--no-such-flag"}, exitUsage, "unknown flag"},
		{[]string{"extra"}, exitUsage, "extra"},
		{[]string{"--cert", "c"}, exitUsage, "belong together"},
		{[]string{"--tls=false"}, exitUsage, "API keys would be sent in the clear"},
		{append(quiet, "--admin", exposed), exitFailed, "other users can read it"},
		{append(quiet, "--admin", file("no colon")), exitFailed, "USER:PASSWORD"},
		{append(quiet, "--listen", "192.0.2.1:1"), exitFailed, "--ports"},
	} {
		var stdout, stderr tail
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		code := run(ctx, c.args, &stdout, &stderr)
		cancel()
		if code != c.code || !strings.Contains(stderr.String(), c.says) ||
			strings.Count(stderr.String(), "\n") != 1 || stdout.String() != "" {
			t.Errorf("%q: exit code %d, %q, want %d and one line with %q", c.args, code, stderr.String(), c.code,
				c.says)
		}
	}
}

func TestHelpHasEveryFlagUnderItsGroup(t *testing.T) {
	var stdout, stderr tail
	if code := run(t.Context(), []string{"--help"}, &stdout, &stderr); code != exitDone {
		t.Fatalf("--help: %d, %s", code, stderr.String())
	}
	at := -1
	for _, text := range []string{"Flags:", "--config FILE", "gateway: where cameras ask", "--listen HOST:PORT",
		"receiver: where", "--ports PORTS", "log: what", "--log-format text|json"} {
		i := strings.Index(stdout.String(), text)
		if i <= at {
			t.Errorf("%q stands at %d, not behind %d:\n%s", text, i, at, stdout.String())
		}
		at = i
	}
}
