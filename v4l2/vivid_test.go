// vivid, the kernel's virtual video driver, in a VM: faults of a driver on demand, on
// 64 and on 32 bits. The tests themselves are in vivid_guest_test.go.

package v4l2

import "testing"

func TestCaptureFromVividInVM(t *testing.T) {
	for _, m := range []machine{amd64, armv7} {
		t.Run(m.goarch, func(t *testing.T) {
			runGuest(t, guest{machine: m, tests: "^TestVivid", modules: []string{"vivid"}})
		})
	}
}
