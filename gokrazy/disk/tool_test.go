package disk

import (
	"os"
	"os/exec"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// runTool runs an independent tool and gives what it said; its failure is ours.
func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	need.Tools(t, name)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "MTOOLS_SKIP_CHECK=0", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
