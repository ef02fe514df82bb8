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
