// camsource itself in a VM, as an owner installs it: what it says about a camera that it
// cannot use. The test inside is in camsource_guest_test.go.

package v4l2

import (
	"os"
	"testing"
)

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
