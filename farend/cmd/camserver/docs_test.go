package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// The verbs of docs/quick-start-server.md, beside the server that the page starts.
func TestVerbsOfTheQuickStartWork(t *testing.T) {
	need.Tools(t, "bash")
	page, err := os.ReadFile("../../../docs/quick-start-server.md")
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	startServer(t, state)
	ran := 0
	for line := range strings.Lines(string(page)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "sudo ")
		verb, ok := strings.CutPrefix(line, "camserver ")
		if !ok || strings.HasPrefix(verb, "-") || !strings.Contains(verb, "--state /") {
			continue
		}
		ran++
		for _, folder := range []string{"/srv/camserver", "/var/lib/camserver"} {
			verb = strings.ReplaceAll(verb, folder, state)
		}
		print := `printf '%s\n' ` + verb // words without their quotes
		words, err := exec.CommandContext(t.Context(), "bash", "-c", print).Output()
		if err != nil {
			t.Fatal(err)
		}
		args := strings.Split(strings.TrimSuffix(string(words), "\n"), "\n")
		if code, out, errs := call(t, args...); code != exitDone {
			t.Errorf("%s: exit code %d: %s%s", line, code, out, errs)
		}
	}
	if ran < 5 {
		t.Errorf("the page has %d verbs with --state, want at least 5", ran)
	}
}
