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

// offers are what camsource tells the scripts of all shells, and the directive at the end:
// ":0" leaves files to the shell, ":4" does not.
func offers(t *testing.T, line string) (all []string, directive string) {
	t.Helper()
	words := strings.Split(line, " ")
	words[0] = "__complete"
	out, _, err := call(t, words...)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for word := range strings.Lines(out) {
		word, _, _ = strings.Cut(strings.TrimSuffix(word, "\n"), "\t")
		all = append(all, word)
	}
	return all[:len(all)-1], all[len(all)-1]
}

func TestTabCompletesVerbsFlagsAndFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"clip.y4m", "krazycam.json"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		line      string // the last word is being typed
		want      []string
		not       string
		directive string
	}{
		{"camsource c", []string{"cameras", "completion"}, "bench", ":4"},
		{"camsource --", []string{"--camera", "--rtp", "--version", "--allow-http"}, "--compare", ":4"},
		{"camsource --rt", []string{"--rtp", "--rtcp", "--rtx"}, "--camera", ":4"},
		{"camsource --json --", []string{"--camera"}, "bench", ":4"},
		{"camsource cameras --", []string{"--camera", "--json"}, "--rtp", ":4"},
		{"camsource bench --", []string{"--compare", "--speeds"}, "--rtp", ":4"},
		{"camsource bench --format ", []string{"YUYV", "MJPG"}, "krazycam.json", ":4"},
		{"camsource --camera ", []string{"pattern", "clip.y4m"}, "krazycam.json", ":4"},
		{"camsource --config k", nil, "clip.y4m", ":0"},
		{"camsource --size ", nil, "--fps", ":4"},
		{"camsource completion ", []string{"bash", "zsh", "fish", "powershell"}, "--help", ":4"},
		{"camsource help b", []string{"bench"}, "cameras", ":4"},
	} {
		got, directive := offers(t, c.line)
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%q offers %q, %s missing", c.line, got, want)
			}
		}
		if slices.Contains(got, c.not) || directive != c.directive {
			t.Errorf("%q offers %q with %s; want %s and no %s", c.line, got, directive, c.directive, c.not)
		}
	}
}

func TestEachShellHasItsScript(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef camsource", "fish": "complete -c camsource",
		"powershell": "Register-ArgumentCompleter",
	} {
		out, _, err := call(t, "completion", shell)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("completion %s: %v, lacks %q", shell, err, want)
		}
	}
	for _, args := range [][]string{{"csh"}, {}, {"bash", "zsh"}} {
		if _, _, err := call(t, append([]string{"completion"}, args...)...); !errors.Is(err, errUsage) {
			t.Errorf("completion %v: %v, want a usage error", args, err)
		}
	}
}

func TestBashCompletesByTheScript(t *testing.T) {
	script, _, err := call(t, "completion", "bash")
	if err != nil {
		t.Fatal(err)
	}
	// The function is that of the package bash-completion, without its care for : and =.
	const ask = `_get_comp_words_by_ref() {
	words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	cur=${words[cword]} prev=${words[cword-1]}
}
source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=1000 COMP_TYPE=9
__start_camsource; printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.Command("bash", "-c", ask, "bash", file(t, "completion", script), "camsource", "--rt")
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	got := strings.Fields(string(out))
	if err != nil || !slices.Contains(got, "--rtcp") || slices.Contains(got, "--camera") {
		t.Errorf("bash offers %q (%v), want --rtp, --rtcp, --rtx", got, err)
	}
}
