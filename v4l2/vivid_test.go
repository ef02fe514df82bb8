// vivid, the kernel's virtual video driver, in a VM: faults of a driver on demand, on
// 64 and on 32 bits. The tests themselves are in vivid_*guest_test.go and camsource_guest_test.go.

package v4l2

import (
	"os"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// layouts are the tests that depend on the layouts of the calls: sizes, buffers, faults,
// time stamps.
const layouts = "^TestVivid[AD]"

// TestCaptureFromVividInVM has one boot for each architecture. In that of amd64 also runs camsource
// itself, as an owner installs it: what it says about a camera that it cannot use.
func TestCaptureFromVividInVM(t *testing.T) {
	for _, c := range []struct {
		machine
		tests    string
		programs []string
	}{
		{amd64, "^Test(Vivid|Program)", []string{builtCamsource(t)}},
		{arm64, sample("^TestVivid", layouts), nil},
		{armv7, layouts + "|^TestVividWraps", nil}, // of 32-bit seconds
	} {
		t.Run(c.goarch, func(t *testing.T) {
			t.Parallel()
			runGuest(t, guest{machine: c.machine, tests: c.tests, modules: []string{"vivid"}, programs: c.programs})
		})
	}
}

// builtCamsource is the path of the program that scripts/build amd64 made.
func builtCamsource(t *testing.T) string {
	t.Helper()
	const program = "../out/amd64/camsource"
	need.File(t, program, "build it with scripts/build amd64")
	return program
}

// sample is some of all tests, or all of them with KRAZYCAM_LONG=1.
func sample(all, some string) string {
	if os.Getenv("KRAZYCAM_LONG") != "" {
		return all
	}
	return some
}
