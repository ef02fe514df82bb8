// Package need says what a test needs of its machine: programs, root, files that a script
// builds. A test without them is skipped; with KRAZYCAM_REQUIRE_ALL, which scripts/test sets, it
// fails, so that nothing is skipped unseen.
//
// It is for tests of every folder and stands in farend because it is never on a board:
// imports_test.go keeps it out of all programs. It owns nothing.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// requireAll is the environment variable that makes a failure of what would be a skip.
const requireAll = "KRAZYCAM_REQUIRE_ALL"

// Tools ends the test unless all programs are in PATH. scripts/setup installs them.
func Tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, name+": install with scripts/setup")
		}
	}
}

// Root ends the test unless it runs as root. why completes "needs root ", such as "for a network
// of its own".
func Root(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root "+why+": run with sudo")
	}
}

// File ends the test unless path exists. hint is the command that makes it.
func File(t testing.TB, path, hint string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, path+": "+hint)
	}
}

// Missing ends the test because something is missing: it completes "needs ".
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireAll) != "" {
		t.Fatal("needs " + what)
	}
	t.Skip("needs " + what)
}
