package adminverbs

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A desk has a database that a server uses, and runs verbs on it.
type desk struct {
	t     *testing.T
	path  string
	store *store.Store // the server's
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, path: filepath.Join(t.TempDir(), "state.db")}
	var err error
	if d.store, err = sqlite.Open(t.Context(), d.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.store.Close() })
	return d
}

// run runs one command line; begun is false if it was wrong.
func (d *desk) run(args ...string) (out string, begun bool, err error) {
	root := &cobra.Command{Use: "camserver", SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) { begun = true }}
	root.AddCommand(Commands(func(*cobra.Command) func(context.Context) (*store.Store, error) {
		return func(ctx context.Context) (*store.Store, error) { return sqlite.Open(ctx, d.path) }
	})...)
	var b bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&b)
	root.SetErr(&b)
	err = root.ExecuteContext(d.t.Context())
	return b.String(), begun, err
}

// ok runs one that must succeed and say something.
func (d *desk) ok(says string, args ...string) string {
	d.t.Helper()
	out, _, err := d.run(args...)
	if err != nil || !strings.Contains(out, says) {
		d.t.Errorf("camserver %s = %v:\n%s\nwant %q", strings.Join(args, " "), err, out, says)
	}
	return out
}

// fails runs one that must fail in these words.
func (d *desk) fails(words string, args ...string) {
	d.t.Helper()
	out, begun, err := d.run(args...)
	if err == nil || !begun || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
		d.t.Errorf("camserver %s = %v %s, want one line: %q", strings.Join(args, " "), err, out, words)
	}
}

func (d *desk) addStream(customer int64, id string) wire.ID {
	d.t.Helper()
	ctx := d.t.Context()
	source, err := d.store.AddSource(ctx, customer, store.SourceLimits{Max: 100}, time.Now())
	if err == nil {
		err = d.store.BeginStream(ctx, store.Stream{ID: id, Source: source.ID, Customer: customer, Server: "here"}, 0,
			time.Now())
	}
	if err == nil {
		err = d.store.SetBoard(ctx, source.ID, wire.Board{Serial: "serial-" + id, Model: "Pi 4"}, time.Now())
	}
	if err == nil {
		stats := stream.Stats{State: stream.StateStreaming, FPS: 29.9, Bitrate: 300_000, Loss: 0.01}
		err = d.store.SaveStats(ctx, []store.StreamStats{{Stream: id, Stats: stats, At: time.Now()}})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return source.ID
}

func TestKeysAreAddedChangedAndRemoved(t *testing.T) {
	d := newDesk(t)
	d.ok("NAME", "keys", "list")
	var c api.Customer
	out := d.ok(`"key"`, "keys", "add", "Green Farm", "--cameras", "4", "--analyses", "faces,motion", "--valid-until",
		"2027-12-31", "--record-bytes", "-1", "--json")
	if err := json.Unmarshal([]byte(out), &c); err != nil || c.Key == "" || c.CamerasMax != 4 || len(c.Analyses) != 2 {
		t.Fatalf("%s, %v", out, err)
	}
	kept, err := d.store.CustomerByKey(t.Context(), store.HashKey(c.Key))
	if err != nil || kept.Name != "Green Farm" || kept.RecordBytes != -1 || kept.ValidUntil.Year() != 2027 {
		t.Errorf("kept %+v, %v", kept, err)
	}
	list := d.ok("Green Farm", "keys", "list")
	if strings.Contains(list, c.Key) || !strings.Contains(list, "2027-12-31") {
		t.Errorf("list:\n%s", list)
	}
	d.ok("changed", "keys", "change", "Green Farm", "--cameras", "0", "--valid-until", "never")
	out = d.ok("shown this once", "keys", "change", "1", "--name", "Farm", "--new-key")
	kept, err = d.store.CustomerByID(t.Context(), c.ID)
	if err != nil || kept.Name != "Farm" || kept.CamerasMax != 0 || !kept.ValidUntil.IsZero() ||
		kept.RecordBytes != -1 || kept.KeyHash != store.HashKey(lastWord(out)) {
		t.Errorf("changed to %+v, %v", kept, err)
	}
	d.ok("shown this once", "keys", "add", "Other")
	d.fails("choose another name", "keys", "add", "Farm")
	d.fails("choose another name", "keys", "change", "Farm", "--name", "Other")
	d.fails("name: must be", "keys", "add", " ")
	d.fails("cameras_max: must be", "keys", "change", "Farm", "--cameras", "-1")
	d.fails("analyses: must be", "keys", "add", "x", "--analyses", "a b")
	d.fails("camserver keys list", "keys", "remove", "none")
	d.addStream(c.ID, "s1")
	d.fails("--enabled=false", "keys", "remove", "Farm")
	d.ok("removed Other", "keys", "remove", "Other")
}

func lastWord(out string) string {
	words := strings.Fields(out)
	return words[len(words)-1]
}

func TestAdministratorsTokenIsThatOfTheAPI(t *testing.T) {
	d := newDesk(t)
	first := lastWord(d.ok("shown this once", "keys", "admin"))
	second := lastWord(d.ok("shown this once", "keys", "admin"))
	hash, err := d.store.Setting(t.Context(), api.AdministratorSetting)
	if err != nil || hash != store.HashKey(second) || first == second {
		t.Errorf("the setting is %s, %v, want the hash of the second token", hash, err)
	}
}

func TestStreamsAreListedAndStopped(t *testing.T) {
	d := newDesk(t)
	d.ok("this once", "keys", "add", "Farm")
	d.addStream(1, "s1")
	d.addStream(1, "s2")
	if out := d.ok("29.9", "streams", "list"); strings.Count(out, "streaming") != 2 || !strings.Contains(out, "1.0 %") {
		t.Errorf("list:\n%s", out)
	}
	d.ok("stopped s1", "streams", "stop", "s1")
	d.fails("camserver streams list", "streams", "stop", "s1")
	d.fails("no stream none", "streams", "stop", "none", "s2") // s2 is stopped all the same
	if out := d.ok("stopped by an administrator", "streams", "list", "--ended"); strings.Count(out, "\n") != 3 {
		t.Errorf("ended:\n%s", out)
	}
	out := d.ok("", "streams", "list", "--ended", "--json")
	var list struct{ Streams []api.Stream }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Streams) != 2 || list.Streams[0].Stats == nil {
		t.Errorf("%s, %v", out, err)
	}
}

func TestBoardsAreShownNamedAndSwitched(t *testing.T) {
	d := newDesk(t)
	d.ok("this once", "keys", "add", "Farm")
	d.ok("this once", "keys", "add", "Other")
	id := d.addStream(1, "s1").String()
	second := d.addStream(2, "s2").String()
	if out := d.ok(id, "boards", "list", "--of", "Farm"); strings.Contains(out, second) {
		t.Errorf("boards of Farm:\n%s", out)
	}
	d.ok("Pi 4", "boards", "show", "serial-s1")
	d.ok(`"stream":"s1"`, "boards", "show", id, "--json")
	d.ok("is named", "boards", "rename", id, "Stable")
	d.ok("Stable", "boards", "list")
	d.ok("is disabled", "boards", "disable", "Stable")
	if s, err := d.store.Sources(t.Context(), store.SourceFilter{Customer: 1}); err != nil || s[0].Enabled {
		t.Errorf("%+v, %v, want it switched off", s, err)
	}
	d.ok("is enabled", "boards", "enable", "serial-s1")
	d.ok("is named", "boards", "rename", second, "Stable")
	d.fails("name one by its id", "boards", "show", "Stable")
	d.fails("camserver boards list", "boards", "disable", "none")
	d.fails("name: must be", "boards", "rename", id, strings.Repeat("x", 200))
}

func TestBackupIsADatabase(t *testing.T) {
	d := newDesk(t)
	d.ok("this once", "keys", "add", "Farm")
	path := filepath.Join(t.TempDir(), "copy.db")
	d.ok("bytes", "backup", path)
	d.fails("is there already", "backup", path)
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if all, err := s.Customers(t.Context()); err != nil || len(all) != 1 || all[0].Name != "Farm" {
		t.Errorf("the copy has %+v, %v", all, err)
	}
}

func TestWrongCommandLinesDoNotBegin(t *testing.T) {
	d := newDesk(t)
	for _, line := range []string{"keys add", "keys add a b", "keys add a --valid-until tomorrow",
		"keys add a --cameras x", "keys none", "streams stop", "boards rename a", "backup", "backup a b", "keys list x",
		"boards list --off Farm"} {
		if _, begun, err := d.run(strings.Fields(line)...); err == nil || begun {
			t.Errorf("camserver %s: %v, begun %v, want a usage error", line, err, begun)
		}
	}
}

// Verbs and a server write at once: nobody is told that the database is locked.
func TestVerbsWorkWhileTheServerWrites(t *testing.T) {
	d := newDesk(t)
	d.ok("this once", "keys", "add", "Farm")
	d.addStream(1, "s1")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = d.store.SaveStats(t.Context(), []store.StreamStats{{Stream: "s1", At: time.Now()}})
		}
		ended <- err
	}()
	for range 10 {
		d.ok("changed", "keys", "change", "Farm", "--cameras", "3")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
