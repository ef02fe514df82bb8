// Board bbb: real kernel and loaders, and small programs in place of ours.

package imagetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	return debianPackage(t, "bbb", "--kernel", "linux-image-"),
		debianPackage(t, "bbb", "--boot-firmware", "u-boot-omap")
}

// PiUBoot is the Debian package with the U-Boot of a Pi, likewise.
func PiUBoot(t testing.TB) Package {
	t.Helper()
	return debianPackage(t, "rpi", "--u-boot", "u-boot-rpi")
}

// debianPackage is the one whose folder scripts/parts prints behind a flag, and whose line in
// scripts/pins begins so.
func debianPackage(t testing.TB, board, flag, begin string) Package {
	t.Helper()
	scripts := scriptsFolder(t)
	pins, err := os.ReadFile(filepath.Join(scripts, "pins"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(scripts, "parts"), board).Output()
	if err != nil {
		need.Missing(t, "scripts/parts "+board+", with the Debian packages of the board: "+err.Error())
	}
	words := strings.Fields(string(out))
	at := slices.Index(words, flag)
	if at < 0 || at+1 == len(words) {
		t.Fatalf("scripts/parts %s prints %q, no %s", board, out, flag)
	}
	for line := range strings.Lines(string(pins)) {
		if f := strings.Fields(line); strings.HasPrefix(line, begin) {
			return Package{Folder: words[at+1], Name: f[0], Version: f[2], SHA256: f[3]}
		}
	}
	t.Fatalf("scripts/pins has no line for %s", begin)
	return Package{}
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
