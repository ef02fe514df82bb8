package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachVerb calls use with each verb that a person can type, none among them.
func eachVerb(cmd *cobra.Command, use func(words []string, cmd *cobra.Command)) {
	if cmd.Runnable() {
		use(strings.Fields(cmd.CommandPath())[1:], cmd)
	}
	for _, c := range cmd.Commands() {
		eachVerb(c, use)
	}
}

// fail runs a command line that must fail, and gives its error. What it says, it says once.
func fail(t *testing.T, args ...string) error {
	t.Helper()
	err := run(t.Context(), args, io.Discard, io.Discard, func(*slog.Logger) error { return errors.New("it streams") })
	if err == nil || strings.Contains(err.Error(), "\n") || err.Error() == "it streams" {
		t.Fatalf("camsource %q: %v, want an error of one line", args, err)
	}
	seen := map[string]bool{"camsource": true}
	for part := range strings.SplitSeq(err.Error(), ": ") {
		if seen[part] {
			t.Errorf("camsource %q: %q comes twice in %q", args, part, err)
		}
		seen[part] = true
	}
	return err
}

func TestEachVerbSaysWhatIsWrongWithItsCommandLine(t *testing.T) {
	root := newRootCommand(func(*slog.Logger) error { return nil })
	eachVerb(root, func(words []string, cmd *cobra.Command) {
		lines := [][]string{append(words, "--no-such-flag")}
		if len(words) == 0 || words[0] != "help" && words[0] != "completion" && words[0] != "__complete" {
			lines = append(lines, append(words, "a", "b", "c"))
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "" {
				lines = append(lines, append(words, "--"+f.Name))
			}
			if f.Value.Type() == "int" || f.Value.Type() == "bool" {
				lines = append(lines, append(words, "--"+f.Name+"=what"))
			}
		})
		for _, args := range lines {
			if err := fail(t, args...); !errors.Is(err, errUsage) {
				t.Errorf("camsource %q: %v, want a usage error", args, err)
			}
		}
	})
}

// Whatever is given as a file: camsource says what it is, and waits for nothing.
func TestFilesThatAreNoneAreRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	pipe, pipeY4M, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "pipe.y4m"), filepath.Join(dir, "large")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), syscall.Mkfifo(pipeY4M, 0o600),
		os.WriteFile(large, nil, 0o600), os.Truncate(large, 100<<20)); err != nil {
		t.Fatal(err)
	}
	to := []string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10"}
	for _, args := range [][]string{
		append(to, "--config", pipe), append(to, "--config", dir), append(to, "--config", "/dev/zero"),
		append(to, "--config", large), append(to, "--camera", pipeY4M), append(to, "--camera", dir),
		append(to, "--camera", "pattern", "--sdp", pipe), append(to, "--camera", "pattern", "--sdp", dir),
		{"cameras", "--config", pipe}, {"bench", "--input", pipeY4M}, {"bench", "--compare", pipe, pipe},
		{"bench", "--compare", "/dev/zero", large}, {"bench", "--compare", large, large},
	} {
		if err := fail(t, args...); errors.Is(err, errUsage) {
			t.Errorf("camsource %q: %v, want no usage error", args, err)
		}
	}
}
