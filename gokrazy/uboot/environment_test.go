package uboot

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// The builds of U-Boot that boards and package vm start, and from what.
var builds = []struct {
	name, targets, tool string
	file                func(t testing.TB) string
}{
	{"am335x_evm", "mmc0", "dumpimage", func(t testing.TB) string {
		return filepath.Join(parts(t, "bbb", "--boot-firmware"), "u-boot.img")
	}},
	{"rpi_arm64", "mmc0 mmc1 mmc2", "", func(t testing.TB) string {
		return filepath.Join(parts(t, "rpi", "--u-boot"), "u-boot.bin")
	}},
	{"qemu_arm", "virtio0", "", func(t testing.TB) string {
		const file = "/usr/lib/u-boot/qemu_arm/u-boot.bin"
		need.File(t, file, "scripts/setup")
		return file
	}},
}

// parts gives the folder that scripts/parts prints behind a flag.
func parts(t testing.TB, board, flag string) string {
	t.Helper()
	out, err := exec.Command("../../scripts/parts", board).Output()
	if err != nil {
		need.Missing(t, "scripts/parts "+board+", with the Debian packages of the board: "+err.Error())
	}
	words := strings.Fields(string(out))
	for i, w := range words[:max(len(words)-1, 0)] {
		if w == flag {
			return words[i+1]
		}
	}
	t.Fatalf("scripts/parts %s prints %q", board, out)
	return ""
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// variablesOf lists the environment of a build.
func variablesOf(t *testing.T, b []byte) map[string]string {
	t.Helper()
	at := bytes.Index(b, []byte("\x00bootcmd=")) + 1
	end := at + bytes.Index(b[at:], []byte{0, 0})
	if at < 1 || end < at {
		t.Fatal("no environment")
	}
	all := map[string]string{}
	for v := range strings.SplitSeq(string(b[at:end]), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	return all
}

func TestUnattendedChangesTheEnvironmentAndNothingElse(t *testing.T) {
	for _, build := range builds {
		t.Run(build.name, func(t *testing.T) {
			before := read(t, build.file(t))
			after, err := Unattended(before, build.targets)
			if err != nil {
				t.Fatal(err)
			}
			if len(after) != len(before) {
				t.Fatalf("%d bytes, were %d", len(after), len(before))
			}
			start, end, err := findEnvironment(before)
			if err != nil {
				t.Fatal(err)
			}
			changed := 0
			for i := range after {
				if after[i] != before[i] && (i < start || i >= end) {
					changed++
				}
			}
			if most := 4; changed > most || changed > 0 && build.tool == "" {
				t.Errorf("%d bytes changed outside of the environment", changed)
			}
			checkVariables(t, variablesOf(t, before), variablesOf(t, after), build.targets)
		})
	}
}

func checkVariables(t *testing.T, before, after map[string]string, targets string) {
	t.Helper()
	want := map[string]string{
		"bootdelay": "-2", "boot_targets": targets, "bootcmd": before["bootcmd"] + "; sleep 10; reset",
	}
	for name, value := range before {
		if name == "vendor" || name == "preboot" {
			if _, there := after[name]; there {
				t.Errorf("%s is still there", name)
			}
			continue
		}
		if w, ok := want[name]; ok {
			value = w
		}
		if after[name] != value {
			t.Errorf("%s=%s, want %s", name, after[name], value)
		}
	}
	if len(before) < 30 || len(after) > len(before) {
		t.Errorf("%d variables, were %d", len(after), len(before))
	}
}

// mkimage computes the sums itself: dumpimage -l only prints them, extracting a part checks them.
func TestUnattendedFITIsWholeForUBootsOwnTool(t *testing.T) {
	need.Tools(t, "dumpimage")
	file := filepath.Join(t.TempDir(), "u-boot.img")
	before := read(t, builds[0].file(t))
	after, err := Unattended(before, "mmc0")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"before": before, "after": after} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		about, err := exec.Command("dumpimage", "-l", file).CombinedOutput()
		if err != nil {
			t.Fatalf("dumpimage -l: %v: %s", err, about)
		}
		part := filepath.Join(t.TempDir(), "part")
		extract := exec.Command("dumpimage", "-T", "flat_dt", "-p", "0", "-o", part, file)
		if out, err := extract.CombinedOutput(); err != nil {
			t.Fatalf("%s: dumpimage: %v: %s", name, err, out)
		}
		sum := regexp.MustCompile(`(?m)^ *Hash value: +([0-9a-f]{8})$`).FindSubmatch(about)
		if sum == nil {
			t.Fatalf("%s: no checksum in\n%s", name, about)
		}
		if got := crcOf(read(t, part)); got != string(sum[1]) {
			t.Errorf("%s: the image says %s of its first part, which has %s", name, sum[1], got)
		}
	}
}

func TestUnattendedRefusesWhatItDoesNotKnow(t *testing.T) {
	const env = "text\x00bootcmd=run distro_bootcmd\x00bootdelay=2\x00vendor=somebody\x00preboot=usb start\x00" +
		"boot_targets=mmc0 usb0\x00\x00\x00text"
	noPreboot := strings.Replace(env, "preboot=usb start\x00", "", 1)
	for name, c := range map[string]struct{ file, targets, says string }{
		"nothing":                    {"", "mmc0", "want one text bootdelay=2"},
		"another delay":              {strings.Replace(env, "=2", "=3", 1), "mmc0", "want one text bootdelay=2"},
		"patched already":            {strings.Replace(env, "=2", "=-2", 1), "mmc0", "want one text bootdelay=2"},
		"two environments":           {env + env, "mmc0", "want one text bootdelay=2"},
		"no end":                     {env[:strings.Index(env, "\x00\x00")] + "\x00x", "mmc0", "without an end"},
		"a target that it has not":   {env, "mmc1", "has no mmc1"},
		"no room":                    {noPreboot, "mmc0 usb0", "there is room"},
		"no targets":                 {strings.Replace(env, "boot_targets", "targets", 1), "mmc0", "without bootdelay"},
		"a FIT image that ends":      {"\xd0\x0d\xfe\xed" + strings.Repeat("\x00", 36) + env, "mmc0", "FIT image"},
		"a FIT image that says lies": {"\xd0\x0d\xfe\xed" + strings.Repeat("\xff", 36) + env, "mmc0", "FIT image"},
	} {
		_, err := Unattended([]byte(c.file), c.targets)
		if !errors.Is(err, ErrUnknownBuild) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if out, err := Unattended([]byte(env), "mmc0"); err != nil || len(out) != len(env) {
		t.Errorf("the whole one: %q, %v", out, err)
	}
}

func FuzzUnattended(f *testing.F) {
	fit := read(f, builds[0].file(f))
	f.Add(fit[:8000]) // the tree, and a beginning
	const env = "\x00bootcmd=x\x00bootdelay=2\x00boot_targets=mmc0 mmc1 mmc2 mmc3 mmc4\x00\x00"
	f.Add(append(bytes.Clone(fit[:4096]), env...))
	f.Add([]byte(env))
	f.Fuzz(func(t *testing.T, file []byte) {
		before := bytes.Clone(file)
		out, err := Unattended(file, "mmc0")
		if !bytes.Equal(file, before) {
			t.Error("the input changed")
		}
		if err == nil && len(out) != len(file) {
			t.Errorf("%d bytes, were %d", len(out), len(file))
		}
	})
}

func crcOf(b []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)) }
