// What the tests need of this machine: programs, files.

package rig

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// run gives what a program says on both of its outputs, trimmed.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// copyImage copies a file; its holes stay holes.
func copyImage(t *testing.T, to, from string) {
	t.Helper()
	run(t, nil, "cp", "--sparse=always", from, to)
}

// openFile opens a file until the test ends, and gives its size.
func openFile(t *testing.T, name string, flag int) (*os.File, int64) {
	t.Helper()
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, info.Size()
}
