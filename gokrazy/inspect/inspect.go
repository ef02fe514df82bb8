// Package inspect reads an image or a card back: what is on it, where that comes from,
// and what of it does not fit together.
//
// It runs on the owner's machine, changes nothing, and owns nothing: the caller opens
// and closes. It judges by the rules that package image makes an image by. The image may
// be a stranger's: package disk sets the limits, and what is unpacked here has its own.
// Sizes are in bytes.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

const (
	// maxProgram is more than any program of ours: camsource has 12 MB. A hostile one costs four
	// times its size: the file, a copy, and two tables of names.
	maxProgram = 24 << 20
	// maxKernel is more than any kernel, module or file of boot firmware: a Pi's kernel has 46 MB.
	maxKernel = 64 << 20
	// maxImage is more than any image; a sum of more would take minutes.
	maxImage = 8 << 30
	// maxSummed is up to where a partition gets a sum: /perm may be all of a card.
	maxSummed = card.PermSize
	// maxText is for command line and board name.
	maxText = 64 << 10
)

// A Report is what an image or a card holds.
type Report struct {
	Size       int64        `json:"size"`   // of what an image has: a card has more
	SHA256     string       `json:"sha256"` // of these bytes
	Disk       string       `json:"disk"`   // GUID
	Board      string       `json:"board"`  // "" if the root does not say
	Kernel     string       `json:"kernel"` // release, of the promoted slot; "" if nothing says it
	Cmdline    string       `json:"cmdline"`
	Loader     board.Loader `json:"loader"`        // what the boot partition is made for
	Raw        []RawLoader  `json:"raw,omitempty"` // loaders outside any partition
	Seed       string       `json:"seed"`          // SeedBlank, SeedPresent or SeedMissing, never what it says
	Pointers   Pointers     `json:"pointers"`
	Partitions []Partition  `json:"partitions"`
	Slots      []Slot       `json:"slots"`
	Problems   []string     `json:"problems"` // what would not work on the board

	seed     []byte // without the blanks behind it
	defaults []byte // krazycam.json of the active root
}

// What a Report says of the seed.
const (
	SeedBlank   = "blank"
	SeedPresent = "present"
	SeedMissing = "missing" // the owner deleted it, which the board takes for blank
)

// A Partition is one partition and the file system in it.
type Partition struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	ID     string `json:"id"`
	Start  int64  `json:"start"`
	Size   int64  `json:"size"`
	Holds  string `json:"holds"` // FAT16, squashfs, ext4, empty, unknown
	Used   int64  `json:"used"`  // bytes that SHA256 covers: of a large /perm the beginning
	SHA256 string `json:"sha256"`
}

// Image reads the image at the beginning of r, an image or a card of size bytes.
func Image(ctx context.Context, r io.ReaderAt, size int64) (Report, error) {
	out, err := examine(ctx, r, size)
	if err != nil {
		return Report{}, err
	}
	if out.SHA256, err = image.SHA256(ctx, io.NewSectionReader(r, 0, out.Size)); err != nil {
		return Report{}, err
	}
	for i := range out.Partitions {
		p := &out.Partitions[i]
		if p.SHA256, err = image.SHA256(ctx, io.NewSectionReader(r, p.Start, p.Used)); err != nil {
			return Report{}, fmt.Errorf("partition %d: %w", p.Number, err)
		}
	}
	return out, nil
}

// examine does all that takes no time: sums of whole partitions are left out.
func examine(ctx context.Context, r io.ReaderAt, size int64) (Report, error) {
	table, err := readTable(r, size)
	if err != nil {
		return Report{}, err
	}
	out := Report{Size: min(table.Size, card.ImageSize), Disk: table.Disk.String(), Problems: []string{}}
	for i, p := range table.Partitions {
		about := Partition{Number: i + 1, Name: p.Name, ID: p.ID.String(), Start: p.Start, Size: p.Size}
		about.Holds, about.Used = recognize(io.NewSectionReader(r, p.Start, p.Size))
		out.Partitions = append(out.Partitions, about)
	}
	boot, err := out.addBoot(openBoot(r, table))
	if err != nil {
		return Report{}, fmt.Errorf("boot partition: %w", err)
	}
	out.addPointers(r, size)
	if err := out.addSlots(ctx, r, table); err != nil {
		return Report{}, err
	}
	if err := out.addRaw(r, boot); err != nil {
		return Report{}, err
	}
	out.findProblems()
	return out, nil
}

// addSlots reads both slots, and takes from the promoted one what is said of the image as a whole.
func (r *Report) addSlots(ctx context.Context, d io.ReaderAt, t disk.Table) error {
	for _, name := range []slot.Name{slot.A, slot.B} {
		s, err := r.readSlot(ctx, d, t, name)
		if err != nil {
			return fmt.Errorf("slot %s: %w", name, err)
		}
		if r.Partitions[name.RootPartition()-1].Holds == "unknown" {
			s.addFault("its root is neither empty nor a squashfs")
		}
		if s.Promoted = r.promoted() == name; s.Promoted {
			r.Kernel, r.Cmdline, r.Board, r.defaults = s.Kernel, s.Cmdline, s.Board, s.defaults
		}
		r.Slots = append(r.Slots, s)
	}
	return nil
}

// limitTable refuses partitions that no card of ours has: reading them would take hours. Only /perm
// may be as large as its card.
func limitTable(t disk.Table) error {
	for i, p := range t.Partitions[:card.Perm] {
		if end := p.Start + p.Size; end > maxImage {
			return fmt.Errorf("partition %d up to byte %d, an image of ours ends at %d: %w", i+1, end,
				int64(card.ImageSize), disk.ErrDamaged)
		}
	}
	return nil
}

// openBoot opens the boot partition with the named folders of its root; what a power cut left in the
// others does not matter.
func openBoot(r io.ReaderAt, t disk.Table, folders ...string) (*disk.FAT, error) {
	p := t.Partitions[card.Boot]
	return disk.OpenFATFolders(io.NewSectionReader(r, p.Start, p.Size), p.Size, folders...)
}

// recognize names the file system of a partition by its signature, and says how many
// bytes of the partition its sum is of.
func recognize(section *io.SectionReader) (holds string, used int64) {
	size := min(section.Size(), maxSummed)
	head := make([]byte, 2048)
	if _, err := section.ReadAt(head, 0); err != nil {
		return "unknown", size
	}
	switch {
	case string(head[0:4]) == "hsqs":
		tree, err := disk.OpenSquashFS(section, section.Size())
		if err != nil {
			return "unknown", size
		}
		return "squashfs", tree.Used
	case string(head[54:62]) == "FAT16   ":
		return "FAT16", size
	case head[1024+56] == 0x53 && head[1024+57] == 0xef:
		return "ext4", size
	case strings.Trim(string(head), "\x00") == "":
		return "empty", 0
	}
	return "unknown", size
}

// addBoot looks at what lies beside the slots.
func (r *Report) addBoot(boot *disk.FAT, err error) (*disk.FAT, error) {
	if err != nil {
		return nil, err
	}
	if err := r.addSeed(boot); err != nil {
		return nil, err
	}
	return boot, r.addLoader(boot)
}

// addSeed keeps what the seed says until it is known what the image says: see findSeedProblems.
func (r *Report) addSeed(boot fs.FS) (err error) {
	r.seed, err = card.ReadSeed(boot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Seed, err = SeedMissing, nil
	case errors.Is(err, card.ErrSeedTooLong):
		r.Seed = SeedPresent
		r.addProblem("%v", err)
		return nil
	case len(r.seed) == 0:
		r.Seed = SeedBlank
	default:
		r.Seed = SeedPresent
	}
	if r.Seed != SeedPresent {
		for _, name := range card.LikeSeed(boot) {
			r.addProblem("%s is no seed for the board: rename it to krazycam.json", name)
		}
	}
	return err
}
