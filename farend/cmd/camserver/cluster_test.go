// Several camservers with one PostgreSQL.

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/postgres"
	"github.com/krazycam/krazycam/farend/store/postgres/postgrestest"
	"github.com/krazycam/krazycam/farend/stream"
)

// startNode starts one of several servers, with a gateway and ports that it keeps.
func startNode(t *testing.T, database, name string) *process {
	t.Helper()
	return startServer(t, t.TempDir(), "--database", database, "--name", name, "--tls=false",
		"--control", freePort(t), "--record", "")
}

// byServer counts the running streams of each server, as the database has them.
func byServer(t *testing.T, db *store.Store) map[string]int {
	t.Helper()
	all, err := db.ActiveStreams(t.Context(), store.StreamFilter{})
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, one := range all {
		n[one.Server]++
	}
	return n
}

// Three servers share the sources; one dies, and its sources stream again at the others, who lose nothing.
func TestSourcesOfADeadServerStreamElsewhere(t *testing.T) {
	t.Parallel()
	sources := 9
	if isLong() {
		sources = 60
	}
	pg := postgrestest.Start(t)
	database := pg.Database(t)
	db, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	one := startNode(t, database, "one")
	key := one.key(t)
	two, three := startNode(t, database, "two"), startNode(t, database, "three")
	if strings.Contains(two.said.String()+three.said.String(), "first start") {
		t.Error("the second or third server made a key of its own")
	}
	// Every source asks the same gateway, which dies last: a load balancer would do that for it.
	lights, _ := startLights(t, sources, one.url, key, "")
	shared := func() bool {
		n := byServer(t, db)
		return countStreaming(lights) == sources && n["one"] > 0 && n["two"] > 0 && n["three"] > 0
	}
	waitFor(t, 2*time.Minute, "all streams on three servers", shared, func() string {
		return fmt.Sprintf("%s; %v", describe(lights), byServer(t, db))
	})
	died := byServer(t, db)["two"]
	two.kill(t)
	back := func() bool {
		n := byServer(t, db)
		return countStreaming(lights) == sources && n["two"] == 0 && n["one"]+n["three"] == sources
	}
	took := waitFor(t, 2*time.Minute, "all streams on two servers", back, func() string {
		return fmt.Sprintf("%s; %v", describe(lights), byServer(t, db))
	})
	if took > 20*time.Second {
		t.Errorf("%d sources of a dead server streamed again after %v, want 20 s at most", died, took)
	}
	checkNothingLost(t, db, sources)
	figure(t, "camserver: %d sources of 3 servers; %d of one that was killed stream again %.1f s later", sources, died,
		took.Seconds())
}

// checkNothingLost waits until the statistics of all streams are newer than now, and looks at them. Those of
// the dead server begin anew at another.
func checkNothingLost(t *testing.T, db *store.Store, sources int) {
	t.Helper()
	began := time.Now()
	fresh := func() bool {
		all, err := db.ActiveStreams(t.Context(), store.StreamFilter{})
		n := 0
		for _, one := range all {
			if one.StatsAt.After(began) && one.Stats.State == stream.StateStreaming {
				n++
			}
		}
		return err == nil && n == sources
	}
	waitFor(t, time.Minute, "new statistics", fresh, func() string { return fmt.Sprint(byServer(t, db)) })
	all, err := db.ActiveStreams(t.Context(), store.StreamFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if one.Stats.Lost != 0 || one.Stats.Packets != one.Stats.Expected {
			t.Errorf("stream %s of server %s: %d packets of %d, %d lost", one.ID, one.Server, one.Stats.Packets,
				one.Stats.Expected, one.Stats.Lost)
		}
	}
}

// Running streams do not notice that the database is away; whoever asks hears 5031 and comes back.
func TestStreamsGoOnWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	away := 5 * time.Second
	if isLong() {
		away = 30 * time.Second
	}
	pg := postgrestest.Start(t)
	database := pg.Database(t)
	p := startNode(t, database, "one")
	key := p.key(t)
	lights, _ := startLights(t, 9, p.url, key, "")
	waitFor(t, time.Minute, "all streams", func() bool { return countStreaming(lights) == 9 },
		func() string { return describe(lights) })
	grants := totalGrants(lights)
	pg.Stop(t)
	newID := `{"action": "new_utilization_id", "key": "` + key + `"}`
	if got := askOnce(t, p.url, newID); !strings.Contains(got, "5031") {
		t.Errorf("a request without a database: %s", got)
	}
	time.Sleep(away) // the outage itself
	for i, l := range lights {
		if since := time.Since(time.Unix(0, l.sentAt.Load())); since > time.Second || !l.isStreaming() {
			t.Errorf("source %d does not stream: the last packet left %v ago", i, since)
		}
	}
	pg.Restart(t)
	waitFor(t, time.Minute, "an answer after the outage", func() bool {
		return strings.Contains(askOnce(t, p.url, newID), "utilization_id")
	}, p.log.String)
	if now := totalGrants(lights); now != grants {
		t.Errorf("%d grants, before the outage %d: streams were begun anew", now, grants)
	}
	db, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkNothingLost(t, db, 9)
}

// A database that hangs, as behind a firewall that forgot its connections, costs the end its notes there, not
// recordings, and not the time that an owner was promised.
func TestServerEndsInTimeWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	way := startRelay(t, pg.Dir)
	state := t.TempDir()
	p := startServer(t, state, "--database", way.url(pg.Database(t)), "--tls=false")
	lights, _ := startLights(t, 3, p.url, p.key(t), "")
	waitFor(t, time.Minute, "all streams", func() bool { return countStreaming(lights) == 3 && leastSent(lights) > 30 },
		func() string { return describe(lights) })
	way.swallows.Store(true)
	code, took := p.end(t, syscall.SIGTERM)
	if code != exitDone || took > 5*time.Second {
		t.Errorf("exit code %d after %v, want %d within 5 s", code, took, exitDone)
	}
	if strings.Contains(p.log.String(), "not all was written") {
		t.Error("recordings were not finished")
	}
	figure(t, "camserver: ended in %.2f s while its database hung", took.Seconds())
}

// Two servers of one name would end each other's streams. One that comes back after a kill is no second one.
func TestSecondServerOfOneNameIsRefused(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	database := pg.Database(t)
	state := t.TempDir()
	args := []string{"--database", database, "--name", "one", "--tls=false", "--record", ""}
	first := startServer(t, state, append(args, "--operator", ":0")...)
	if !strings.Contains(first.log.String(), "operator: plain http") {
		t.Error("no word about an operator address that others can reach")
	}
	db, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	waitFor(t, time.Minute, "the first in the database", func() bool {
		all, err := db.Servers(t.Context(), time.Time{})
		return err == nil && len(all) == 1
	}, first.log.String)
	second := launch(t, append(args, "--state", t.TempDir(), "--listen", "127.0.0.1:0", "--ports", "0,0",
		"--operator", "")...)
	<-second.ended
	if code := second.cmd.ProcessState.ExitCode(); code != exitFailed ||
		!strings.Contains(second.log.String(), `another server called "one" uses this database`) {
		t.Errorf("exit code %d: %s", code, second.log)
	}
	first.kill(t)
	startServer(t, state, args...)
}

func totalGrants(all []*lightSource) (n int64) {
	for _, l := range all {
		n += l.grants.Load()
	}
	return n
}

// askOnce posts a request and gives the answer's text.
func askOnce(t *testing.T, url, body string) string {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
