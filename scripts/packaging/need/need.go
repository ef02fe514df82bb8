// Package need says what a test needs of the machine: without it the test is skipped, or fails where
// scripts/test runs it, so that nothing is skipped unseen.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// requireAll of the environment is set by scripts/test.
const requireAll = "KRAZYCAM_REQUIRE_ALL"

// Tools ends the test unless these programs are installed.
func Tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, name)
		}
	}
}

// Missing ends the test: the machine lacks something that scripts/setup installs.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireAll) != "" {
		t.Fatal("needs " + what + ": install with scripts/setup")
	}
	t.Skip("needs " + what + ": install with scripts/setup")
}
