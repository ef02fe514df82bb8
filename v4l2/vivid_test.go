// vivid, the kernel's virtual video driver, in a VM: faults of a driver on demand, on
// 64 and on 32 bits. The tests themselves are in vivid_guest_test.go.

package v4l2

import (
	"os"
	"testing"
)

func TestCaptureFromVividInVM(t *testing.T) {
	for _, c := range []struct {
		machine
		tests string
		long  bool
	}{
		{amd64, "^TestVivid", false},
		{arm64, "^TestVivid", true},
		{armv7, "^TestVivid[AD]", false}, // what depends on the layouts: sizes, buffers, faults
	} {
		if c.long && os.Getenv("KRAZYCAM_LONG") == "" {
			continue // the layouts are those of amd64
		}
		t.Run(c.goarch, func(t *testing.T) {
			runGuest(t, guest{machine: c.machine, tests: c.tests, modules: []string{"vivid"}})
		})
	}
}

// camsource itself, as an owner installs it: what it says about a camera that it cannot use.
func TestCamsourceSaysWhatIsWrongWithACameraInVM(t *testing.T) {
	const program = "../out/amd64/camsource"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("KRAZYCAM_REQUIRE_ALL") != "" {
			t.Fatalf("%v: build it with scripts/build amd64", err)
		}
		t.Skip("needs out/amd64/camsource: build it with scripts/build amd64")
	}
	runGuest(t, guest{machine: amd64, tests: "^TestProgram", modules: []string{"vivid"}, programs: []string{program}})
}
