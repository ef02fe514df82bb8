// The boot partition: kernel, device trees, boot firmware, command line, the
// place for a seed, licence texts.

package image

import (
	"fmt"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// cmdlineSize leaves room behind the arguments: gokrazy marks a trial boot by
// writing more of them into the file, in place.
const cmdlineSize = 512

// cmdline is the kernel's command line for root A. What follows the newline is
// white space: with blanks before it, gokrazy's marks would not be found.
func cmdline(b board.Board) ([]byte, error) {
	var args []string
	for _, c := range b.Console {
		args = append(args, "console="+c)
	}
	args = append(args,
		// Root A is the partition after the boot partition, whatever the disk is called.
		fmt.Sprintf("root=PARTUUID=%s/PARTNROFF=1", card.PartitionID(card.Boot+1)),
		"init=/gokrazy/init", "rootwait",
		// A kernel that cannot go on starts again after 10 s, with the other root if
		// this one was on trial.
		"panic=10", "oops=panic")
	args = append(args, b.Arguments...)
	line := strings.Join(args, " ") + "\n"
	if len(line) > cmdlineSize/2 {
		return nil, fmt.Errorf("command line of %d bytes leaves no room for gokrazy's marks", len(line))
	}
	return []byte(line + strings.Repeat(" ", cmdlineSize-len(line))), nil
}

// bootEntries lists everything on the boot partition: what all boards have, and what
// the loader of this one wants to find.
func bootEntries(b board.Board, p Parts, m material) ([]disk.Entry, error) {
	line, err := cmdline(b)
	if err != nil {
		return nil, err
	}
	list, err := provenance(b, p, m)
	if err != nil {
		return nil, err
	}
	all := []disk.Entry{
		{Path: card.CmdlineName, Bytes: line},
		{Path: card.SeedName, Bytes: card.PaddedSeed(nil, card.SeedSize)},
		{Path: card.SourcesName, Bytes: list},
		{Path: board.KernelName, Bytes: m.kernel},
	}
	switch b.Loader {
	case board.PiFirmware:
		all = append(all, disk.Entry{Path: "config.txt", Bytes: []byte(b.Config)})
	case board.UBoot:
		all = append(all, disk.Entry{Path: card.BootScriptName, Bytes: uboot.Script(b.Config)})
	default:
		return nil, fmt.Errorf("board %s: no writer for the loader %q", b.Name, b.Loader)
	}
	if m.initrd != nil {
		all = append(all, disk.Entry{Path: card.InitrdName, Bytes: m.initrd.bytes})
	}
	for _, f := range m.boot {
		all = append(all, f.Entry)
	}
	return append(all, m.licences...), nil
}
