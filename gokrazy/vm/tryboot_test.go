package vm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

// slotImage is an image with two slots and a state sector; only the names of the kernels differ.
func slotImage(t *testing.T, state string) string {
	t.Helper()
	const mib = 1 << 20
	f, err := os.Create(filepath.Join(t.TempDir(), "slots.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib, Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib}}}
	boot := []disk.Entry{{Path: "start4.elf", Bytes: []byte("x")}}
	for slot, config := range map[string]string{card.SlotA: card.ConfigName, card.SlotB: card.TrybootName} {
		boot = append(boot,
			disk.Entry{Path: config, Bytes: []byte("[pi4]\nos_prefix=" + slot + "/\nkernel=vmlinuz\n")},
			disk.Entry{Path: slot + "/vmlinuz", Bytes: []byte("kernel of " + slot)},
			disk.Entry{Path: slot + "/bcm2711-rpi-4-b.dtb", Bytes: []byte("tree")},
			disk.Entry{Path: slot + "/cmdline.txt", Bytes: []byte("console=tty1 slot=" + slot + "\n")})
	}
	sector := []byte(state + strings.Repeat("\n", disk.SectorSize-len(state)))
	_, stateErr := f.WriteAt(sector, card.StateSector*disk.SectorSize)
	err = errors.Join(stateErr, f.Truncate(table.Size), disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, mib), disk.FATOptions{Size: 8 * mib}, boot))
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// bootsSlot plays one start of the boot firmware and gives the slot that it takes.
func bootsSlot(t *testing.T, image string, afterReset bool) string {
	t.Helper()
	m := &Machine{config: Config{Log: quietLog()}, hardware: hardware64(), image: image, folder: t.TempDir()}
	b, _, err := m.loadPi(afterReset)
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := os.ReadFile(b.kernel)
	if err != nil {
		t.Fatal(err)
	}
	slot := strings.TrimPrefix(string(kernel), "kernel of ")
	if want := "console=ttyAMA0 slot=" + slot; b.cmdline != want {
		t.Errorf("command line %q, want %q", b.cmdline, want)
	}
	return slot
}

func TestTheNoteOfATrialIsAFlagForOneReset(t *testing.T) {
	image := slotImage(t, "krazycam=1\nlayout=1\nslot=a\ntry=b\n")
	for i, step := range []struct {
		afterReset bool
		want       string
	}{
		{false, "a"}, // a power on is never a trial, and leaves the note for the board to clear
		{true, "b"},
		{true, "a"}, // the trial reset itself
		{false, "a"},
	} {
		if got := bootsSlot(t, image, step.afterReset); got != step.want {
			t.Errorf("start %d boots slot %s, want %s", i+1, got, step.want)
		}
	}
	if got, want := stateOf(t, image), "krazycam=1\nlayout=1\nslot=a\ntry=-"; got != want {
		t.Errorf("state sector %q, want %q", got, want)
	}
}

// stateOf reads the state sector.
func stateOf(t *testing.T, image string) string {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state := make([]byte, disk.SectorSize)
	if _, err := f.ReadAt(state, card.StateSector*disk.SectorSize); err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(state), "\n")
}

// On a Pi 3 the request is for U-Boot, which runs in the guest and has not seen it yet.
func TestTheBootFirmwareOfAPi3LeavesTheRequestToUBoot(t *testing.T) {
	const state = "krazycam=1\nlayout=1\nslot=a\ntry=b\n"
	image := slotImage(t, state)
	m := &Machine{config: Config{Log: quietLog()}, hardware: hardwarePi3(), image: image, folder: t.TempDir()}
	// The image lacks this model's files: what counts is what is left of the request.
	if _, _, err := m.loadPi(true); !errors.Is(err, pifirmware.ErrNoBoot) {
		t.Fatal(err)
	}
	if got := stateOf(t, image); got != strings.TrimRight(state, "\n") {
		t.Errorf("state sector %q, want %q", got, state)
	}
}

func TestOnlyOurStateSectorNotesATrial(t *testing.T) {
	for _, state := range []string{
		"", "krazycam=1\nslot=a\ntry=-\n", "slot=a\ntry=b\n", "krazycam=1\ntry=c\n", "krazycam=1\ntry=bb\n",
		"krazycam=1\nretry=b\n", strings.Repeat("\xff", disk.SectorSize),
		"krazycam=1\n" + strings.Repeat("x", 496) + "\ntry=",
	} {
		if got := bootsSlot(t, slotImage(t, state), true); got != "a" {
			t.Errorf("state %q: a reset boots slot %s, want a", state, got)
		}
	}
}

// What a power cut left in one slot does not make a BeagleBone's card a Pi's.
func TestACardWithADamagedSlotIsStillABeagleBones(t *testing.T) {
	const mib = 1 << 20
	card := make([]byte, 16*mib)
	w := writerAt(card)
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib, Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib}}}
	boot := []disk.Entry{{Path: "boot.scr", Bytes: []byte("script")}, {Path: "b/vmlinuz", Bytes: []byte("kernel")}}
	err := errors.Join(disk.WriteTable(w, table),
		disk.WriteFAT(io.NewOffsetWriter(w, mib), disk.FATOptions{Size: 8 * mib}, boot))
	if err != nil {
		t.Fatal(err)
	}
	card[bytes.Index(card, []byte("VMLINUZ    "))+29] = 0xff // more bytes than it has clusters
	file := filepath.Join(t.TempDir(), "card")
	if err := os.WriteFile(file, card, 0o600); err != nil {
		t.Fatal(err)
	}
	if h, err := hardwareFor(file, ""); err != nil || h.pi != nil {
		t.Errorf("hardwareFor = %+v, %v, want a machine of 32 bit that starts U-Boot", h, err)
	}
}

type writerAt []byte

func (w writerAt) WriteAt(b []byte, at int64) (int, error) { return copy(w[at:], b), nil }

func TestAPiWithoutConfigIsNoImageOfAScript(t *testing.T) {
	if h, err := hardwareFor(slotImage(t, ""), ""); err != nil || h.pi == nil {
		t.Errorf("hardwareFor = %+v, %v, want a Pi", h, err)
	}
	if h, err := hardwareFor(slotImage(t, ""), MachinePi3); err != nil || !h.haltIsReset {
		t.Errorf("hardwareFor of a Pi 3 = %+v, %v", h, err)
	}
	if _, err := hardwareFor(slotImage(t, ""), "pdp11"); !errors.Is(err, ErrMachine) {
		t.Errorf("hardwareFor of an unknown machine = %v, want ErrMachine", err)
	}
}
