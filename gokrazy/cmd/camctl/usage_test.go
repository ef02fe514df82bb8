package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachVerb calls use with each verb that a person can type.
func eachVerb(cmd *cobra.Command, use func(words []string, cmd *cobra.Command)) {
	for _, c := range cmd.Commands() {
		if c.Runnable() {
			use(strings.Fields(c.CommandPath())[1:], c)
		}
		eachVerb(c, use)
	}
}

// checkUsageError runs a command line that is wrong: exit code 2, and the last line on stderr says
// what is wrong, once.
func checkUsageError(t *testing.T, args ...string) {
	t.Helper()
	code, stdout, stderr := camctl(t, args...)
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if code != exitUsage || !strings.HasPrefix(last, "camctl") || stdout != "" || saidTwice(last) != "" {
		t.Errorf("camctl %q: exit code %d, %q, want %d and what is wrong in one line", args, code, last, exitUsage)
	}
}

func TestEachVerbSaysWhatIsWrongWithItsCommandLine(t *testing.T) {
	eachVerb(newRootCommand(new(bool)), func(words []string, cmd *cobra.Command) {
		checkUsageError(t, append(words, "--no-such-flag")...)
		if words[0] != "help" && words[0] != "completion" && !strings.Contains(cmd.Use, "…") {
			checkUsageError(t, append(words, "a", "b", "c", "d")...)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "" {
				checkUsageError(t, append(words, "--"+f.Name)...)
			}
			switch f.Value.Type() {
			case "int", "bool", "duration", "float64":
				checkUsageError(t, append(words, "--"+f.Name+"=what")...)
			}
		})
		if strings.Contains(cmd.Use, "IMAGE") || strings.Contains(cmd.Use, "CONSOLE") {
			checkUsageError(t, words...)
			if _, _, stderr := camctl(t, words...); !strings.Contains(stderr, "Usage:\n  "+cmd.CommandPath()) {
				t.Errorf("camctl %q shows no usage: %q", words, stderr)
			}
		}
	})
}
