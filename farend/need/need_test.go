package need

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A recorder is a test that notes how it was ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(words ...any) { r.skipped = words[0].(string); runtime.Goexit() }

func (r *recorder) Fatal(words ...any) { r.failed = words[0].(string); runtime.Goexit() }

// record runs a test body in a goroutine of its own, as the testing package does.
func record(t *testing.T, body func(t testing.TB)) *recorder {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(r)
	}()
	<-done
	return r
}

func TestWhatIsMissingSkipsATestOrFailsItWhereAllIsRequired(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone.img")
	for _, c := range []struct {
		name string
		body func(t testing.TB)
		want string
	}{
		{"a program", func(t testing.TB) { Tools(t, "go", "krazycam-no-such-program") },
			"needs krazycam-no-such-program: install with scripts/setup"},
		{"a file", func(t testing.TB) { File(t, gone, "scripts/image rpi") }, "needs " + gone + ": scripts/image rpi"},
		{"anything else", func(t testing.TB) { Missing(t, "a second network") }, "needs a second network"},
	} {
		t.Setenv(requireAll, "")
		if r := record(t, c.body); r.skipped != c.want || r.failed != "" {
			t.Errorf("%s: skipped with %q, failed with %q, want a skip with %q", c.name, r.skipped, r.failed, c.want)
		}
		t.Setenv(requireAll, "1")
		if r := record(t, c.body); r.failed != c.want || r.skipped != "" {
			t.Errorf("%s: skipped with %q, failed with %q, want a failure with %q", c.name, r.skipped, r.failed, c.want)
		}
	}
}

func TestWhatIsThereLetsTheTestGoOn(t *testing.T) {
	reached := false
	r := record(t, func(t testing.TB) {
		Tools(t)
		Tools(t, "go")
		File(t, ".", "")
		reached = true
	})
	if !reached || r.skipped != "" || r.failed != "" {
		t.Errorf("reached the end: %v, skipped with %q, failed with %q", reached, r.skipped, r.failed)
	}
}

func TestRootIsNeededByWhoIsNotRoot(t *testing.T) {
	t.Setenv(requireAll, "")
	r := record(t, func(t testing.TB) { Root(t, "for a network of its own") })
	isRoot := os.Geteuid() == 0
	if isRoot != (r.skipped == "") || !isRoot && !strings.HasPrefix(r.skipped, "needs root for a network") {
		t.Errorf("root: %v, skipped with %q", isRoot, r.skipped)
	}
}
