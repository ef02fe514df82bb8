// vivid, the kernel's virtual video driver, in a VM: faults of a driver on demand, on
// 64 and on 32 bits. The tests themselves are in vivid_*guest_test.go.

package v4l2

import (
	"os"
	"testing"
)

// layouts are the tests that depend on the layouts of the calls: sizes, buffers, faults,
// time stamps.
const layouts = "^TestVivid[AD]"

func TestCaptureFromVividInVM(t *testing.T) {
	for _, c := range []struct {
		machine
		tests string
	}{
		{amd64, "^TestVivid"},
		{arm64, sample("^TestVivid", layouts)},
		{armv7, layouts + "|^TestVividWraps"}, // of 32-bit seconds
	} {
		t.Run(c.goarch, func(t *testing.T) {
			runGuest(t, guest{machine: c.machine, tests: c.tests, modules: []string{"vivid"}})
		})
	}
}

// sample is some of all tests, or all of them with KRAZYCAM_LONG=1.
func sample(all, some string) string {
	if os.Getenv("KRAZYCAM_LONG") != "" {
		return all
	}
	return some
}
