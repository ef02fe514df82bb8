// The boot partition: the folder of a slot, and beside it what is there once: boot firmware,
// what chooses the slot, the place for a seed, licence texts.

package image

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// watchdogOpen is how many seconds the kernel feeds a watchdog that runs already, until init opens
// it: a root whose init never comes so far is left by a reset.
const watchdogOpen = 60

// maxCmdline is what a kernel takes: COMMAND_LINE_SIZE of Linux' arch/arm; arm64 takes twice that.
const maxCmdline = 1024

// cmdline is the kernel's command line for root A.
func cmdline(b board.Board) ([]byte, error) {
	var args []string
	for _, c := range b.Console {
		args = append(args, "console="+c)
	}
	args = append(args,
		// Root A is the partition after the boot partition, whatever the disk is called.
		fmt.Sprintf("root=PARTUUID=%s/PARTNROFF=1", card.PartitionID(card.Boot+1)),
		"init=/gokrazy/init", "rootwait",
		// A kernel that cannot go on starts again after 10 s, with the other slot if
		// this one was on trial.
		"panic=10", "oops=panic",
		fmt.Sprintf("watchdog.open_timeout=%d", watchdogOpen))
	args = append(args, b.Arguments...)
	line := strings.Join(args, " ") + "\n"
	if len(line) > maxCmdline {
		return nil, fmt.Errorf("command line of %d bytes: %w: a kernel takes %d", len(line), ErrUnfit, maxCmdline)
	}
	return []byte(line), nil
}

// overlayNote lies beside the overlays: without a file of this name the boot firmware of a
// Raspberry Pi takes no overlay from a slot's folder.
const overlayNote = "The boot firmware takes overlays from this folder because of this file.\n"

// slotEntries lists everything in the folder of slot a, by paths below that folder.
func slotEntries(b board.Board, p Parts, m material) ([]disk.Entry, error) {
	line, err := cmdline(b)
	if err != nil {
		return nil, err
	}
	list, err := slotProvenance(b, p, m)
	if err != nil {
		return nil, err
	}
	all := []disk.Entry{
		{Path: card.CmdlineName, Bytes: line},
		{Path: card.SourcesName, Bytes: list},
		{Path: board.KernelName, Bytes: m.kernel},
	}
	if m.initrd != nil {
		all = append(all, disk.Entry{Path: card.InitrdName, Bytes: m.initrd.bytes})
	}
	if b.Loader == board.PiFirmware {
		all = append(all, disk.Entry{Path: "overlays/README", Bytes: []byte(overlayNote)})
	}
	return append(all, m.slot...), nil
}

// besideSlots lists everything on the boot partition that is not in a slot.
func besideSlots(b board.Board, p Parts, m material) ([]disk.Entry, error) {
	list, err := topProvenance(b, p, m)
	if err != nil {
		return nil, err
	}
	all := []disk.Entry{
		{Path: card.SeedName, Bytes: card.PaddedSeed(nil, card.SeedSize)},
		{Path: card.SourcesName, Bytes: list},
		{Path: card.BootScriptName, Bytes: uboot.Script(b.Script)},
	}
	if b.Loader == board.PiFirmware {
		config, err := configText(b, slot.A)
		if err != nil {
			return nil, err
		}
		tryboot, err := configText(b, slot.B)
		if err != nil {
			return nil, err
		}
		all = append(all, disk.Entry{Path: card.ConfigName, Bytes: config},
			disk.Entry{Path: card.TrybootName, Bytes: tryboot})
	}
	return slices.Concat(all, m.top(), m.licences), nil
}

// configText is config.txt or tryboot.txt for a slot: one sector, so that it can be switched whole.
func configText(b board.Board, starts slot.Name) ([]byte, error) {
	text := strings.ReplaceAll(b.Config, board.SlotMark, starts.Folder())
	if len(text) > disk.SectorSize {
		return nil, fmt.Errorf("config.txt of %d bytes: %w into a sector of %d", len(text), ErrUnfit, disk.SectorSize)
	}
	return []byte(text + strings.Repeat("\n", disk.SectorSize-len(text))), nil
}

// bootEntries lists everything on the boot partition. Slot b comes with the first update.
func bootEntries(b board.Board, p Parts, m material) ([]disk.Entry, error) {
	all, err := besideSlots(b, p, m)
	if err != nil {
		return nil, err
	}
	files, err := slotEntries(b, p, m)
	if err != nil {
		return nil, err
	}
	if err := checkSlot(b, files); err != nil {
		return nil, err
	}
	for _, f := range files {
		f.Path = path.Join(card.SlotA, f.Path)
		all = append(all, f)
	}
	return all, nil
}
