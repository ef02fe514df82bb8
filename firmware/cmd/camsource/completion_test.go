package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tab gives what bash would offer for the last of words, in folder.
func tab(t *testing.T, folder, script string, words ...string) []string {
	t.Helper()
	const ask = `source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _camsource; printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.Command("bash", append([]string{"-euc", ask, "bash", script}, words...)...)
	cmd.Dir = folder
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("bash: %v, %s", err, err.(*exec.ExitError).Stderr)
	}
	return strings.Fields(string(out))
}

func TestTabCompletesVerbsFlagsAndFiles(t *testing.T) {
	script, _, err := call(t, "completion", "bash")
	if err != nil {
		t.Fatal(err)
	}
	path, folder := file(t, "completion", script), t.TempDir()
	for _, name := range []string{"clip.y4m", "krazycam.json"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		words string // the last is being typed
		want  []string
		not   string
	}{
		{"camsource c", []string{"cameras", "completion"}, "bench"},
		{"camsource --", []string{"--camera", "--rtp", "--version"}, "--compare"},
		{"camsource --rt", []string{"--rtp", "--rtcp"}, "--camera"},
		{"camsource --json ", []string{"--camera"}, "bench"},
		{"camsource bench --", []string{"--compare", "--speeds"}, "--rtp"},
		{"camsource --camera ", []string{"pattern", "clip.y4m"}, "krazycam.json"},
		{"camsource --config k", []string{"krazycam.json"}, "clip.y4m"},
		{"camsource --size ", nil, "--fps"},
	} {
		got := tab(t, folder, path, strings.Split(c.words, " ")...)
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%q offers %q, %s missing", c.words, got, want)
			}
		}
		if slices.Contains(got, c.not) {
			t.Errorf("%q offers %s", c.words, c.not)
		}
	}
	if _, _, err := call(t, "completion", "csh"); !errors.Is(err, errUsage) {
		t.Errorf("completion csh: %v, want a usage error", err)
	}
}
