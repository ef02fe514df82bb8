package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestManualHasAPageForEveryVerbAndTheConfiguration(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("XDG_STATE_HOME", "/of/this/machine")
	t.Setenv("STATE_DIRECTORY", "/of/this/machine")
	if _, _, err := call(t, "manual", filepath.Join(folder, "man1")); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{
		"man1/camsource.1", "man1/camsource-cameras.1", "man1/camsource-bench.1", "man1/camsource-version.1",
		"man5/krazycam.json.5",
	} {
		b, err := os.ReadFile(filepath.Join(folder, page))
		if err != nil || strings.Contains(string(b), "/of/this/machine") {
			t.Errorf("%s: %v, or it is about the machine it was made on", page, err)
		}
	}
	for _, args := range [][]string{{"manual"}, {"manual", "a", "b"}} {
		if _, _, err := call(t, args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}
