package gokrazy

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krazycam/krazycam/board"
)

const fakeRelease = "6.1.0-fake"

// fakePrograms are built once for all tests: a board's programs, and what must
// not get onto one. Programs are real ones, as small as Go makes them.
type fakePrograms struct{ folder string }

const (
	plainProgram   = "plain"   // arm64, static, -tags gokrazy
	cgoProgram     = "cgo"     // the same with cgo
	dynamicProgram = "dynamic" // cgo, not static
	foreignProgram = "foreign" // amd64
	bareProgram    = "bare"    // without -tags gokrazy
)

var buildFakePrograms = sync.OnceValues(func() (fakePrograms, error) {
	folder := fakeFolder()
	f := fakePrograms{folder}
	for name, text := range map[string]string{
		"go.mod":            "module github.com/krazycam/krazycam\ngo 1.26\n",
		"src/plain/main.go": "package main\nfunc main() { println(\"plain\") }\n",
		"src/cgo/main.go":   "package main\n/* int one(void) { return 1; } */\nimport \"C\"\nfunc main() { println(C.one()) }\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			return f, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return f, err
		}
	}
	static, shared := "-s -w -buildid= -linkmode external -extldflags -static", "-s -w -buildid= -linkmode external"
	return f, errors.Join(
		f.build(plainProgram, "./src/plain", "gokrazy", "-s -w -buildid=", "arm64", "0"),
		f.build(cgoProgram, "./src/cgo", "gokrazy,netgo,osusergo", static, "arm64", "1"),
		f.build(dynamicProgram, "./src/cgo", "gokrazy", shared, "arm64", "1"),
		f.build(foreignProgram, "./src/plain", "gokrazy", "-s -w -buildid=", "amd64", "0"),
		f.build(bareProgram, "./src/plain", "netgo", "-s -w -buildid=", "arm64", "0"),
	)
})

// fakeFolder is one folder for each run of the tests; TestMain removes it.
func fakeFolder() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("krazycam-fake-%d", os.Getpid()))
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(fakeFolder()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func (f fakePrograms) build(name, pkg, tags, ldflags, arch, cgo string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", ldflags, "-o", filepath.Join(f.folder, name), pkg)
	cmd.Dir = f.folder
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED="+cgo, "CC=aarch64-linux-gnu-gcc", "GOFLAGS=", "CGO_CFLAGS=", "CGO_LDFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", name, err, out)
	}
	return nil
}

func programs(t testing.TB) fakePrograms {
	t.Helper()
	if _, err := exec.LookPath("aarch64-linux-gnu-gcc"); err != nil {
		if os.Getenv("KRAZYCAM_REQUIRE_ALL") != "" {
			t.Fatal("aarch64-linux-gnu-gcc is missing: install with scripts/setup")
		}
		t.Skip("needs aarch64-linux-gnu-gcc: install with scripts/setup")
	}
	f, err := buildFakePrograms()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// needTool skips a test whose tool is not installed.
func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("KRAZYCAM_REQUIRE_ALL") != "" {
		t.Fatalf("%s is missing: install with scripts/setup", name)
	}
	t.Skipf("needs %s: install with scripts/setup", name)
}

func put(t testing.TB, b []byte, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyProgram puts one of the fake programs where a part is looked for.
func copyProgram(t testing.TB, kind string, path ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(programs(t).folder, kind))
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, path...)
}

func piBoard(t testing.TB) board.Board {
	t.Helper()
	b, err := board.ByName("rpi")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fakeParts is everything that an image of board rpi needs, in a new folder.
func fakeParts(t testing.TB) Parts {
	t.Helper()
	dir := t.TempDir()
	p := Parts{
		Programs: filepath.Join(dir, "programs"),
		Kernel:   Source{Folder: filepath.Join(dir, "kernel"), Name: "example.com/kernel", Version: "v1.0.0", Sum: "h1:kernel="},
		Firmware: Source{Folder: filepath.Join(dir, "firmware"), Name: "example.com/firmware", Version: "v2.0.0", Sum: "h1:firmware="},
		Licences: func(string, string) ([]byte, error) { return []byte("do what you like\n"), nil },
		Pins:     []byte("# comment\nlibvpx source 1.12.0-1 0123\nlibturbojpeg0-dev arm64 2.1.5 4567\nlibturbojpeg0-dev armhf 2.1.5 89ab\n"),
	}
	for _, want := range rootPrograms {
		kind := plainProgram
		if want.cgo {
			kind = cgoProgram
		}
		copyProgram(t, kind, p.Programs, filepath.Base(want.path))
	}
	put(t, []byte("….Linux version %s\x00..Linux version "+fakeRelease+" (somebody) #1"), p.Kernel.Folder, "vmlinuz")
	modules := filepath.Join(p.Kernel.Folder, "lib/modules", fakeRelease)
	for _, name := range board.UVCModules() {
		put(t, fakeModule(fakeRelease), modules, name)
	}
	put(t, []byte("kernel/drivers/hwmon/pwm-fan.ko\n"), modules, "modules.builtin")
	put(t, []byte("kernel/drivers/media/common/videobuf2/videobuf2-v4l2.ko: kernel/drivers/media/common/videobuf2/videobuf2-common.ko\n"), modules, "modules.dep")
	for _, name := range []string{"bcm2710-rpi-3-b.dtb", "overlays/disable-bt.dtbo", "overlays/overlay_map.dtb", "LICENSE.linux"} {
		put(t, []byte(name), p.Kernel.Folder, name)
	}
	for _, name := range []string{"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "start_cd.elf", "fixup_cd.dat", "start4cd.elf", "fixup4cd.dat", "LICENSE.broadcom",
		"pieeprom-2025-05-08.bin", "pieeprom.upd", "pieeprom.sig", "vl805-000138c0.bin", "vl805.sig", "recovery.bin"} {
		put(t, []byte(name), p.Firmware.Folder, name)
	}
	return p
}

// fakeModule is the least ELF file with a .modinfo section.
func fakeModule(release string) []byte {
	names := "\x00.shstrtab\x00.modinfo\x00"
	info := "license=GPL\x00vermagic=" + release + " SMP preempt mod_unload aarch64\x00"
	const head, section = 64, 64
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, uint16(elf.ET_REL))
	b = le.AppendUint16(b, uint16(elf.EM_AARCH64))
	b = le.AppendUint32(b, 1)
	b = append(b, make([]byte, 16)...) // entry, program headers
	b = le.AppendUint64(b, head)       // section headers follow at once
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{head, 0, 0, section, 3, 1} {
		b = le.AppendUint16(b, v)
	}
	data := uint64(head + 3*section)
	b = append(b, make([]byte, section)...)
	for _, s := range []struct {
		name uint32
		kind elf.SectionType
		at   uint64
		size int
	}{{1, elf.SHT_STRTAB, data, len(names)}, {11, elf.SHT_PROGBITS, data + uint64(len(names)), len(info)}} {
		b = le.AppendUint32(b, s.name)
		b = le.AppendUint32(b, uint32(s.kind))
		b = append(b, make([]byte, 16)...) // flags, address
		b = le.AppendUint64(b, s.at)
		b = le.AppendUint64(b, uint64(s.size))
		b = append(b, make([]byte, 8)...)
		b = le.AppendUint64(b, 1)
		b = le.AppendUint64(b, 0)
	}
	return append(append(b, names...), info...)
}
