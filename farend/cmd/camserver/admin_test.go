package main

import (
	"bytes"
	"strings"
	"testing"
)

// Verbs work on the database of a server that runs, and say what is wrong by exit code and one line.
func TestVerbsWorkBesideTheServer(t *testing.T) {
	state := t.TempDir()
	verb := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		code := run(t.Context(), args, &out, &errs)
		if code != want || want != exitDone && strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("camserver %s = %d, want %d: %s%s", strings.Join(args, " "), code, want, &out, &errs)
		}
		return out.String() + errs.String()
	}
	if says := verb(exitFailed, "keys", "list", "--state", state); !strings.Contains(says, "no database") {
		t.Errorf("before the first start: %s", says)
	}
	startServer(t, state)
	verb(exitDone, "keys", "add", "Green Farm", "--state", state, "--cameras", "2")
	if says := verb(exitDone, "keys", "list", "--state", state); !strings.Contains(says, "Green Farm") ||
		!strings.Contains(says, firstCustomer) {
		t.Errorf("keys list:\n%s", says)
	}
	verb(exitFailed, "keys", "add", "Green Farm", "--state", state)
	verb(exitFailed, "boards", "disable", "none", "--state", state)
	verb(exitDone, "streams", "list", "--state", state, "--json")
	verb(exitDone, "backup", state+"/copy.db", "--state", state)
	for _, args := range [][]string{{"keys", "add"}, {"keys", "none"}, {"keys", "list", "--stat", state},
		{"keys", "change", "x", "--valid-until", "soon"}} {
		verb(exitUsage, args...)
	}
	if says := verb(exitDone, "keys", "change", "--help"); !strings.Contains(says, "--valid-until") ||
		!strings.Contains(says, "--database") {
		t.Errorf("help:\n%s", says)
	}
}
