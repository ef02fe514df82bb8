// The boards' scripts, run by Debian's U-Boot in QEMU: on 32-bit virt, and on an emulated Raspberry
// Pi 3 with its card and device tree. The kernels are none, so a script tries one slot after the other
// and says so.

package uboot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

const mib = 1 << 20

// scriptCard is a card with a board's script and the given files of slots. Its size is a power of two,
// as QEMU wants it of an SD card.
func scriptCard(t *testing.T, script string, state []byte, files map[string]string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib, Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: 4 * mib, Size: 8 * mib},
	}}
	entries := []disk.Entry{{Path: card.BootScriptName, Bytes: Script(script)}}
	for name, text := range files {
		entries = append(entries, disk.Entry{Path: name, Bytes: []byte(text)})
	}
	_, stateErr := f.WriteAt(state, card.StateSector*disk.SectorSize)
	err = errors.Join(f.Truncate(table.Size), stateErr, disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, 4*mib), disk.FATOptions{Size: 8 * mib, Hidden: 4 * mib}, entries))
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// bothSlots have all that a script loads.
func bothSlots() map[string]string {
	files := map[string]string{}
	for _, s := range []string{"a", "b"} {
		files[s+"/cmdline.txt"] = "console=tty1 console=serial0,115200 root=PARTUUID=of-" + s + "\n"
		files[s+"/vmlinuz"] = strings.Repeat("no kernel of slot "+s, 100)
		files[s+"/initrd.bin"] = "no initramfs"
	}
	return files
}

func without(files map[string]string, name string) map[string]string {
	delete(files, name)
	return files
}

// console starts QEMU and gives its serial console up to the line that ends every script here.
func console(t *testing.T, program string, args ...string) []string {
	t.Helper()
	need.Tools(t, program)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // for the slowest machine; a second is usual
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "-display", "none", "-monitor", "none", "-serial", "stdio",
		"-no-reboot")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for in := bufio.NewScanner(out); in.Scan(); {
		line := strings.TrimRight(in.Text(), "\r")
		if lines = append(lines, line); line == "krazycam: cannot boot, again in 10 s" {
			break
		}
	}
	cancel()
	_ = cmd.Wait() // it was killed
	return lines
}

// tried lists the slots that a script tried, in this order.
func tried(lines []string) (slots string) {
	for _, l := range lines {
		if name, ok := strings.CutPrefix(l, "krazycam: slot "); ok {
			slots += name
		}
	}
	return slots
}

func stateOf(t *testing.T, file string) slot.State {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sector := make([]byte, disk.SectorSize)
	if _, err := f.ReadAt(sector, card.StateSector*disk.SectorSize); err != nil {
		t.Fatal(err)
	}
	s, err := slot.ParseState(sector)
	if err != nil {
		return slot.State{}
	}
	return s
}

func sectorOf(s slot.State) []byte {
	sector := slot.StateSector(s)
	return sector[:]
}

// choices are cards, and what a script makes of them.
var choices = []struct {
	name     string
	state    []byte
	files    func() map[string]string
	want     string     // slots that are tried, in this order
	after    slot.State // what the sector says then
	readOnly bool
	quick    bool // also on the emulated Pi, which is slower
}{
	{name: "slot a is promoted", state: sectorOf(slot.State{Slot: slot.A}), want: "ab",
		after: slot.State{Slot: slot.A}},
	{name: "slot b is promoted", state: sectorOf(slot.State{Slot: slot.B}), want: "ba", after: slot.State{Slot: slot.B},
		quick: true},
	{name: "slot b is to be tried", state: sectorOf(slot.State{Slot: slot.A, Try: slot.B}), want: "ba",
		after: slot.State{Slot: slot.A}, quick: true},
	{name: "slot a is to be tried", state: sectorOf(slot.State{Slot: slot.B, Try: slot.A}), want: "ab",
		after: slot.State{Slot: slot.B}},
	{name: "the promoted slot is to be tried", state: sectorOf(slot.State{Slot: slot.B, Try: slot.B}), want: "ba",
		after: slot.State{Slot: slot.B, Try: slot.B}},
	{name: "a card that keeps nothing makes no trial", state: sectorOf(slot.State{Slot: slot.A, Try: slot.B}),
		want: "ab", after: slot.State{Slot: slot.A, Try: slot.B}, readOnly: true},
	{name: "nothing in the sector", state: make([]byte, disk.SectorSize), want: "ab"},
	{name: "noise in the sector", state: bytes.Repeat([]byte{0xff, 0xa5, '\n', '='}, disk.SectorSize/4), want: "ab"},
	{name: "another layout", state: bytes.Replace(sectorOf(slot.State{Slot: slot.B}), []byte("layout=1"),
		[]byte("layout=2"), 1), want: "ab"},
	{name: "the sector as U-Boot writes it", want: "ba", after: slot.State{Slot: slot.B},
		state: append([]byte("krazycam=1\nlayout=1\nslot=b\ntry=-\n"), make([]byte, 478)...)},
	{name: "a promoted slot without a command line", state: sectorOf(slot.State{Slot: slot.B}), want: "ba",
		files: func() map[string]string { return without(bothSlots(), "b/cmdline.txt") },
		after: slot.State{Slot: slot.B}},
	{name: "a promoted slot without a kernel", state: sectorOf(slot.State{Slot: slot.A}), want: "ab",
		files: func() map[string]string { return without(bothSlots(), "a/vmlinuz") }, after: slot.State{Slot: slot.A},
		quick: true},
}

func TestScriptOfABoneChoosesTheSlot(t *testing.T) {
	loader := filepath.Join(t.TempDir(), "u-boot.bin")
	writeUnattended(t, loader, builds[len(builds)-1].file(t), "virtio0")
	script := boardNamed(t, "bbb").Script
	for _, c := range choices {
		t.Run(c.name, func(t *testing.T) {
			files := bothSlots()
			if c.files != nil {
				files = c.files()
			}
			file := scriptCard(t, script, c.state, files)
			drive := "if=none,id=card,format=raw,file=" + file
			if c.readOnly {
				drive += ",readonly=on"
			}
			lines := console(t, "qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", "512",
				"-bios", loader, "-drive", drive, "-device", "virtio-blk-pci,drive=card")
			if got := tried(lines); got != c.want || stateOf(t, file) != c.after {
				t.Errorf("tried slots %q, want %q; the sector says %+v, want %+v\n%s", got, c.want,
					stateOf(t, file), c.after, strings.Join(lines, "\n"))
			}
			if slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "autoboot") }) {
				t.Error("U-Boot waited for a key")
			}
		})
	}
}

func TestScriptOfAPi3ChoosesTheSlot(t *testing.T) {
	tree := piTree(t)
	// Without a watchdog that QEMU would let bite at once.
	tree = bytes.ReplaceAll(tree, []byte("watchdog@7e100000"), []byte("nowatchg@7e100000"))
	for _, c := range choices {
		if c.quick {
			t.Run(c.name, func(t *testing.T) {
				files := bothSlots()
				if c.files != nil {
					files = c.files()
				}
				lines, file := consoleOfAPi(t, tree, c.state, files)
				if got := tried(lines); got != c.want || stateOf(t, file) != c.after {
					t.Errorf("tried slots %q, want %q; the sector says %+v, want %+v\n%s", got, c.want,
						stateOf(t, file), c.after, strings.Join(lines, "\n"))
				}
			})
		}
	}
}

// What serial0 of cmdline.txt becomes, with the arguments of the boot firmware before ours.
func TestScriptOfAPi3NamesTheConsole(t *testing.T) {
	tree := bytes.ReplaceAll(piTree(t), []byte("watchdog@7e100000"), []byte("nowatchg@7e100000"))
	free := bytes.ReplaceAll(tree, []byte("bluetooth"), []byte("bluetwoth"))
	swapped := bytes.ReplaceAll(tree, []byte("/soc/serial@7e215040\x00"), []byte("/soc/serial@xxxxxxxx\x00"))
	swapped = bytes.ReplaceAll(swapped, []byte("/soc/serial@7e201000\x00"), []byte("/soc/serial@7e215040\x00"))
	swapped = bytes.ReplaceAll(swapped, []byte("/soc/serial@xxxxxxxx\x00"), []byte("/soc/serial@7e201000\x00"))
	line := regexp.MustCompile(`(?m)^bootargs=(.*) console=tty1 console=(tty[A-Z]+[0-9]),115200 root=PARTUUID=of-a$`)
	for name, c := range map[string]struct {
		tree []byte
		want string
	}{
		"Bluetooth has the PL011":                  {tree, "ttyS0"},
		"the overlay disable-bt gave the PL011":    {swapped, "ttyAMA0"},
		"the Bluetooth of the emulated Pi is away": {free, "ttyAMA1"},
	} {
		lines, _ := consoleOfAPi(t, c.tree, sectorOf(slot.State{Slot: slot.A}), bothSlots())
		found := line.FindStringSubmatch(strings.Join(lines, "\n"))
		if found == nil || found[2] != c.want || !strings.Contains(found[1], "coherent_pool=1M") {
			t.Errorf("%s: arguments %q, want console=%s\n%s", name, found, c.want, strings.Join(lines, "\n"))
		}
	}
}

// The watchdog of QEMU's Pi bites at once: with it the script comes no further than to start it.
func TestScriptOfAPi3StartsTheWatchdogBeforeTheKernel(t *testing.T) {
	lines, _ := consoleOfAPi(t, piTree(t), sectorOf(slot.State{Slot: slot.A}), bothSlots())
	if text := strings.Join(lines, "\n"); tried(lines) != "a" || strings.Contains(text, "cannot boot") ||
		strings.Contains(text, "Bad Linux") {
		t.Errorf("the script went on:\n%s", text)
	}
}

// consoleOfAPi runs the Pi's script and gives the card's file, too.
func consoleOfAPi(t *testing.T, tree, state []byte, files map[string]string) (lines []string, file string) {
	t.Helper()
	dir := t.TempDir()
	loader, treeFile := filepath.Join(dir, "u-boot.bin"), filepath.Join(dir, "pi3.dtb")
	writeUnattended(t, loader, builds[1].file(t), "mmc0 mmc1 mmc2")
	if err := os.WriteFile(treeFile, tree, 0o600); err != nil {
		t.Fatal(err)
	}
	file = scriptCard(t, boardNamed(t, "rpi").Script, state, files)
	lines = console(t, "qemu-system-aarch64", "-M", "raspi3b", "-kernel", loader, "-dtb", treeFile,
		"-drive", "if=sd,format=raw,file="+file)
	return lines, file
}

// piTree is the device tree of a Pi 3, as the image has it.
func piTree(t *testing.T) []byte {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/gokrazy/kernel.rpi").Output()
	if err != nil {
		need.Missing(t, "go mod download github.com/gokrazy/kernel.rpi: "+err.Error())
	}
	dir := regexp.MustCompile(`"Dir": "([^"]+)"`).FindSubmatch(out)
	if dir == nil {
		t.Fatalf("go mod download says %s", out)
	}
	return read(t, filepath.Join(string(dir[1]), "bcm2710-rpi-3-b.dtb"))
}

func writeUnattended(t *testing.T, file, from, targets string) {
	t.Helper()
	b, err := Unattended(read(t, from), targets)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func boardNamed(t *testing.T, name string) board.Board {
	t.Helper()
	b, err := board.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
