// Board bbb: real kernel and loaders, and small programs in place of ours.

package imagetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// Bone is everything that an image of board bbb needs: the folder of programs is new,
// those of kernel and boot firmware are the cache's and must not be changed.
func Bone(t testing.TB) Parts {
	t.Helper()
	p := Parts{Programs: t.TempDir()}
	p.Kernel, p.Firmware = BonePackages(t)
	CopyProgram(t, Plain32, p.Programs, "preinit")
	for _, want := range card.RootPrograms() {
		kind := Plain32
		if want.Cgo {
			kind = Cgo32
		}
		CopyProgram(t, kind, p.Programs, filepath.Base(want.Path))
	}
	return p
}

// BonePackages are the Debian packages that scripts/parts fetched.
func BonePackages(t testing.TB) (kernel, firmware Package) {
	t.Helper()
	scripts := scriptsFolder(t)
	pins, err := os.ReadFile(filepath.Join(scripts, "pins"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(scripts, "parts"), "bbb").Output()
	if err != nil {
		need.Missing(t, "scripts/parts bbb, with the Debian packages of the board: "+err.Error())
	}
	flags := strings.Fields(string(out))
	if len(flags) != 4 || flags[0] != "--kernel" || flags[2] != "--boot-firmware" {
		t.Fatalf("scripts/parts prints %q", out)
	}
	kernel, firmware = Package{Folder: flags[1]}, Package{Folder: flags[3]}
	for line := range strings.Lines(string(pins)) {
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "linux-image-"):
			kernel.Name, kernel.Version, kernel.SHA256 = f[0], f[2], f[3]
		case strings.HasPrefix(line, "u-boot-omap"):
			firmware.Name, firmware.Version, firmware.SHA256 = f[0], f[2], f[3]
		}
	}
	return kernel, firmware
}

// scriptsFolder looks in the folders above that of the tests, up to that of go.mod.
func scriptsFolder(t testing.TB) string {
	t.Helper()
	for dir := ".."; ; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "scripts")
		}
		if len(dir) > 100 {
			t.Fatal("the tests run outside of the repository")
		}
	}
}
