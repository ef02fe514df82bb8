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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image"
)

const (
	// maxProgram is more than any program of ours: camsource has 12 MB. A hostile one costs four
	// times its size: the file, a copy, and two tables of names.
	maxProgram = 24 << 20
	// maxKernel is more than any kernel, module or file of boot firmware: a Pi's kernel has 46 MB.
	maxKernel = 64 << 20
	// maxImage is more than any image; a sum of more would take minutes.
	maxImage = 8 << 30
	// maxText is for command line and board name.
	maxText = 64 << 10
)

// A Report is what an image holds.
type Report struct {
	Size       int64        `json:"size"`   // up to the end of the image: a card has more
	SHA256     string       `json:"sha256"` // of these bytes
	Disk       string       `json:"disk"`   // GUID
	Board      string       `json:"board"`  // "" if the root does not say
	Kernel     string       `json:"kernel"` // release, "" if nothing says it
	Cmdline    string       `json:"cmdline"`
	Loader     board.Loader `json:"loader"`        // what the boot partition is made for
	Raw        []RawLoader  `json:"raw,omitempty"` // loaders outside any partition
	Seed       string       `json:"seed"`          // SeedBlank, SeedPresent or SeedMissing, never what it says
	Partitions []Partition  `json:"partitions"`
	Slots      []Slot       `json:"slots"`
	Problems   []string     `json:"problems"` // what would not work on the board

	provenance card.Provenance // as far as the image has one
	seed       []byte          // without the blanks behind it
	defaults   []byte          // krazycam.json of the active root
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
	Used   int64  `json:"used"`  // bytes that SHA256 covers
	SHA256 string `json:"sha256"`
}

// A Slot is a root with what is in it.
type Slot struct {
	Name     string          `json:"name"`   // A or B
	Active   bool            `json:"active"` // the command line names it
	Empty    bool            `json:"empty"`
	Modules  []string        `json:"modules"` // kernel releases that it has modules for
	Programs []image.Program `json:"programs"`
}

// Image reads the image at the beginning of r, an image or a card of size bytes.
func Image(ctx context.Context, r io.ReaderAt, size int64) (Report, error) {
	table, err := disk.ReadTable(r, size)
	if err != nil {
		return Report{}, err
	}
	if len(table.Partitions) != card.Partitions {
		return Report{}, fmt.Errorf("%d partitions, an image of ours has %d: %w",
			len(table.Partitions), card.Partitions, disk.ErrDamaged)
	}
	last := table.Partitions[card.Partitions-1]
	if table.Size > maxImage { // a tool has moved the second table to the end of the card
		table.Size = last.Start + last.Size
	}
	if table.Size > maxImage {
		return Report{}, fmt.Errorf("partitions up to byte %d, an image of ours ends at %d: %w",
			table.Size, int64(card.ImageSize), disk.ErrDamaged)
	}
	out := Report{Size: table.Size, Disk: table.Disk.String(), Problems: []string{}}
	if out.SHA256, err = image.SHA256(ctx, io.NewSectionReader(r, 0, table.Size)); err != nil {
		return Report{}, err
	}
	for i, p := range table.Partitions {
		section := io.NewSectionReader(r, p.Start, p.Size)
		about := Partition{Number: i + 1, Name: p.Name, ID: p.ID.String(), Start: p.Start, Size: p.Size}
		about.Holds, about.Used = recognize(section)
		if about.SHA256, err = image.SHA256(ctx, io.NewSectionReader(section, 0, about.Used)); err != nil {
			return Report{}, fmt.Errorf("partition %d: %w", i+1, err)
		}
		out.Partitions = append(out.Partitions, about)
		if err := out.addPartition(i, section); err != nil {
			return Report{}, fmt.Errorf("partition %d: %w", i+1, err)
		}
	}
	if err := out.addRaw(r); err != nil {
		return Report{}, err
	}
	out.findProblems()
	return out, nil
}

// recognize names the file system of a partition by its signature, and says how many
// bytes of the partition it takes.
func recognize(section *io.SectionReader) (holds string, used int64) {
	head := make([]byte, 2048)
	if _, err := section.ReadAt(head, 0); err != nil {
		return "unknown", section.Size()
	}
	switch {
	case string(head[0:4]) == "hsqs":
		tree, err := disk.OpenSquashFS(section, section.Size())
		if err != nil {
			return "unknown", section.Size()
		}
		return "squashfs", tree.Used
	case string(head[54:62]) == "FAT16   ":
		return "FAT16", section.Size()
	case head[1024+56] == 0x53 && head[1024+57] == 0xef:
		return "ext4", section.Size()
	case strings.Trim(string(head), "\x00") == "":
		return "empty", 0
	}
	return "unknown", section.Size()
}

func (r *Report) addPartition(i int, section *io.SectionReader) error {
	switch i {
	case card.Boot:
		return r.addBoot(section)
	case card.RootA, card.RootB:
		slot := Slot{Name: string(rune('A' + i - card.RootA)), Modules: []string{}, Programs: []image.Program{}}
		if m := rootArgument.FindStringSubmatch(r.Cmdline); m != nil {
			slot.Active = m[2] == strconv.Itoa(i)
		}
		slot.Empty = r.Partitions[i].Holds == "empty"
		if !slot.Empty {
			if err := r.addRoot(&slot, section); err != nil {
				return err
			}
		}
		r.Slots = append(r.Slots, slot)
	}
	return nil
}

func (r *Report) addBoot(section *io.SectionReader) error {
	boot, err := disk.OpenFAT(section, section.Size())
	if err != nil {
		return err
	}
	line, err := card.ReadFile(boot, card.CmdlineName, maxText)
	if err != nil {
		return err
	}
	// Only the first line is the kernel's.
	r.Cmdline, _, _ = strings.Cut(string(line), "\n")
	r.Cmdline = strings.TrimSpace(r.Cmdline)
	if err := r.addSeed(boot); err != nil {
		return err
	}
	if list, err := card.ReadFile(boot, card.SourcesName, maxProvenance); err == nil {
		// A list that cannot be read is the affair of Provenance, not of a boot.
		_ = json.Unmarshal(list, &r.provenance)
	}
	if err := r.addKernel(boot); err != nil {
		return err
	}
	return r.addLoader(boot)
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

// addKernel takes the release of a kernel that does not say it from the list of sources,
// if the list is about this kernel.
func (r *Report) addKernel(boot fs.FS) error {
	kernel, err := card.ReadFile(boot, board.KernelName, maxKernel)
	if err != nil {
		return err
	}
	r.Kernel, err = image.KernelRelease(kernel)
	if !errors.Is(err, image.ErrPackedKernel) {
		return err
	}
	sum := sha256.Sum256(kernel)
	listed := r.listedFile(card.InBoot + ":" + board.KernelName)
	if listed.SHA256 != hex.EncodeToString(sum[:]) {
		r.addProblem("%s is not the kernel that %s names: its release is unknown", board.KernelName, card.SourcesName)
		return nil
	}
	r.Kernel = r.provenance.Release
	return nil
}

// listedFile is what the list of sources says of a file, nothing if it does not name it.
func (r *Report) listedFile(path string) card.File {
	for _, part := range r.provenance.Parts {
		for _, f := range part.Files {
			if f.Path == path {
				return f
			}
		}
	}
	return card.File{}
}

func (r *Report) addRoot(slot *Slot, section *io.SectionReader) error {
	root, err := disk.OpenSquashFS(section, section.Size())
	if err != nil {
		return err
	}
	if name, err := card.ReadFile(root, card.BoardFile, maxText); err == nil {
		r.Board = strings.TrimSpace(string(name))
	}
	if slot.Active {
		// An image without defaults is none of ours; findProblems says what is missing.
		r.defaults, _ = card.ReadFile(root, config.ImageDefaults[1:], config.MaxBytes)
	}
	releases, err := root.ReadDir("lib/modules")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range releases {
		slot.Modules = append(slot.Modules, d.Name())
	}
	for _, folder := range []string{"gokrazy", "user"} {
		files, err := root.ReadDir(folder)
		if err != nil {
			r.addProblem("root %s: no folder %s", slot.Name, folder)
			continue
		}
		for _, f := range files {
			if !f.Type().IsRegular() {
				continue
			}
			b, err := card.ReadFile(root, path.Join(folder, f.Name()), maxProgram)
			if err != nil {
				return err
			}
			program, err := image.ReadProgram(path.Join(folder, f.Name()), b)
			if err != nil {
				r.addProblem("root %s: %v", slot.Name, err)
			}
			slot.Programs = append(slot.Programs, program)
		}
	}
	return nil
}
