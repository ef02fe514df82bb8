// Package imagetest lays out what an image is made of: small programs for each board,
// a kernel, boot firmware. Tests of packages that make and read images use it.
//
// A folder belongs to its test, which may spoil what is in it. The programs are real
// ones, as small as Go makes them; they are built once for each run of a package's
// tests, whose TestMain must be Main.
package imagetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// Pins is a file like scripts/pins.
const Pins = `# comment
libvpx source 1.12.0-1 0123
libjpeg-turbo source 2.1.5 4567
`

// Parts are folders that image.Parts can name.
type Parts struct {
	Programs                string // folder
	Kernel, Firmware, UBoot Package
}

// A Package is an image.Package.
type Package struct{ Folder, Name, Version, SHA256, Sum string }

// Main runs the tests and removes what they built.
func Main(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(Folder()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// Folder is one folder for each run of the tests; Main removes it. Tests keep there what
// many of them read.
func Folder() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("krazycam-fake-%d", os.Getpid()))
}

// Licences gives a licence text of any Go module.
func Licences(string, string) ([]byte, error) { return []byte("do what you like\n"), nil }

// Pi is everything that an image of board rpi needs, in a new folder. The kernel is of
// release Release.
func Pi(t testing.TB) Parts {
	t.Helper()
	dir := t.TempDir()
	p := Parts{
		Programs: filepath.Join(dir, "programs"),
		Kernel: Package{
			Folder: filepath.Join(dir, "kernel"), Name: "example.com/kernel", Version: "v1.0.0", Sum: "h1:kernel=",
		},
		Firmware: Package{
			Folder: filepath.Join(dir, "firmware"), Name: "example.com/firmware", Version: "v2.0.0",
			Sum: "h1:firmware=",
		},
		UBoot: Package{
			Folder: filepath.Join(dir, "u-boot"), Name: "u-boot-rpi", Version: "2023.01+dfsg-2", SHA256: "89ab",
		},
	}
	for _, want := range card.RootPrograms() {
		kind := Plain
		if want.Cgo {
			kind = Cgo
		}
		CopyProgram(t, kind, p.Programs, filepath.Base(want.Path))
	}
	Put(t, []byte("….Linux version %s\x00..Linux version "+Release+" (somebody) #1"), p.Kernel.Folder, "vmlinuz")
	modules := filepath.Join(p.Kernel.Folder, "lib/modules", Release)
	for _, name := range board.UVCModules() {
		Put(t, Module(Release), modules, name)
	}
	Put(t, []byte("kernel/drivers/hwmon/pwm-fan.ko\n"), modules, "modules.builtin")
	const buffers = "kernel/drivers/media/common/videobuf2/"
	Put(t, []byte(buffers+"videobuf2-v4l2.ko: "+buffers+"videobuf2-common.ko\n"), modules, "modules.dep")
	for _, name := range []string{
		"bcm2710-rpi-3-b.dtb", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2712-rpi-5-b.dtb",
		"bcm2712d0-rpi-5-b.dtb", "bcm2712-rpi-500.dtb",
		"overlays/disable-bt.dtbo", "overlays/overlay_map.dtb",
	} {
		Put(t, deviceTree(name), p.Kernel.Folder, name)
	}
	Put(t, []byte("LICENSE.linux"), p.Kernel.Folder, "LICENSE.linux")
	for _, name := range []string{
		"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "start_cd.elf", "fixup_cd.dat",
		"start4cd.elf", "fixup4cd.dat", "LICENSE.broadcom",
		"pieeprom-2025-05-08.bin", "pieeprom.upd", "pieeprom.sig", "vl805-000138c0.bin", "vl805.sig", "recovery.bin",
	} {
		Put(t, []byte(name), p.Firmware.Folder, name)
	}
	Put(t, []byte("..\x00bootcmd=run distro_bootcmd\x00bootdelay=2\x00vendor=raspberrypi\x00preboot=usb start;\x00"+
		"boot_targets=mmc0 mmc1 mmc2 usb0 \x00\x00.."), p.UBoot.Folder, card.UBootName)
	Put(t, []byte("LICENSE.u-boot"), p.UBoot.Folder, "LICENSE.u-boot")
	return p
}

// deviceTree has the header of one, and a text behind it.
func deviceTree(text string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0xd0, 0x0d, 0xfe, 0xed}, uint32(8+len(text)))
	return append(b, text...)
}

// Put writes a file and the folders above it.
func Put(t testing.TB, b []byte, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, b, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Clone copies a file, such as a whole image, into a new folder; its holes stay holes.
func Clone(t testing.TB, file string) string {
	t.Helper()
	own := filepath.Join(t.TempDir(), filepath.Base(file))
	if out, err := exec.Command("cp", "--sparse=always", file, own).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", file, err, out)
	}
	return own
}
