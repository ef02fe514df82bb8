package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/gokrazy/fleet/fleettest"
)

// call runs a command line of camserver.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// emptyState is the state folder of a server that ran once.
func emptyState(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	s, err := sqlite.Open(t.Context(), filepath.Join(folder, server.DatabaseFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestUpdatesAreAddedListedChangedAndRemoved(t *testing.T) {
	state := emptyState(t)
	b, _ := fleettest.Bundle(t, "v2", 200, 20_000)
	path := filepath.Join(t.TempDir(), "mine.update")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	must := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := call(t, append(append([]string{"updates"}, args...), "--state", state)...)
		if code != exitDone {
			t.Fatalf("camserver updates %s: %d, %s", strings.Join(args, " "), code, stderr)
		}
		return stdout
	}
	list := func() (rows []updateRow) {
		t.Helper()
		for d := json.NewDecoder(strings.NewReader(must("list", "--json"))); d.More(); {
			var row updateRow
			if err := d.Decode(&row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		return rows
	}
	said := must("add", path, "--share", "5%", "--stop-after", "3")
	if !strings.Contains(said, "update 1: v2 for rpi") {
		t.Errorf("add says %q", said)
	}
	kept := filepath.Join(state, updatesFolder, "krazycam-v2-rpi.update")
	if copied, err := os.ReadFile(kept); err != nil || !bytes.Equal(copied, b) {
		t.Errorf("the copy: %d bytes, %v", len(copied), err)
	}
	must("add", path) // as on a second server: the rule stays
	if rows := list(); len(rows) != 1 || rows[0].Share != 0.05 || rows[0].StopAfter != 3 || rows[0].Version != "v2" {
		t.Errorf("%+v", rows)
	}
	must("change", "1", "--share", "100%")
	must("pause", "1")
	if rows := list(); rows[0].Share != 1 || rows[0].StopAfter != 3 || !rows[0].Paused {
		t.Errorf("%+v", rows)
	}
	must("resume", "1")
	if table := must("list"); !strings.Contains(table, "100%") || !strings.Contains(table, "offered") {
		t.Errorf("list prints %s", table)
	}
	if boards := must("list", "1"); !strings.Contains(boards, "SERIAL") {
		t.Errorf("list 1 prints %s", boards)
	}
	must("remove", "1")
	if _, err := os.Stat(kept); err == nil || len(list()) != 0 {
		t.Errorf("something is left: %v, %+v", err, list())
	}
}

func TestAnUpdateThatCannotBeOfferedIsSaid(t *testing.T) {
	state := emptyState(t)
	b, _ := fleettest.Bundle(t, "v2", 200, 20_000)
	good := filepath.Join(t.TempDir(), "good.update")
	damaged := filepath.Join(t.TempDir(), "damaged.update")
	if err := os.WriteFile(good, b, 0o600); err != nil {
		t.Fatal(err)
	}
	b[len(b)-3000] ^= 1
	if err := os.WriteFile(damaged, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no file", []string{"add", good + "x"}, exitFailed, "no such file"},
		{"a damaged bundle", []string{"add", damaged}, exitFailed, "part root: damaged"},
		{"a share of nothing", []string{"add", good, "--share", "0%"}, exitUsage, "percentage"},
		{"less than no boards", []string{"add", good, "--stop-after", "-1"}, exitUsage, "0 or more"},
		{"elsewhere over http", []string{"add", good, "--url", "http://u.example/f"}, exitUsage, "https:"},
		{"an unknown customer", []string{"add", good, "--customer", "x"}, exitFailed, "none of that name"},
		{"an unknown update", []string{"pause", "7"}, exitFailed, "update 7: there is none"},
		{"no number", []string{"remove", "x"}, exitUsage, "number"},
		{"nothing to change", []string{"change", "1"}, exitUsage, "--share"},
	} {
		code, _, stderr := call(t, append(append([]string{"updates"}, c.args...), "--state", state)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit code %d, %q, want %d and %q", c.name, code, stderr, c.code, c.says)
		}
	}
}
