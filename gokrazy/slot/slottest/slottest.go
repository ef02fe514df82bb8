// Package slottest makes small slots and cards for tests: whole by the rules of package whole, and
// of a few hundred kilobytes. Nothing in them can be started.
package slottest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// Release is that of the kernels.
const Release = imagetest.Release

// Size of a card and its partitions, in bytes.
const (
	mib      = 1 << 20
	Size     = 16 * mib
	bootSize = 5 * mib
	rootSize = 4 * mib
)

// A Slot is what a version consists of.
type Slot struct {
	Board board.Board
	Files map[string][]byte // of the slot's folder, with the canonical command line
	Root  []disk.Entry

	packed map[packedKey][]byte // roots that were packed before: a test asks several times
}

// A packedKey is a list of entries, by its place in memory.
type packedKey struct {
	first *disk.Entry
	count int
}

// New makes a version. Versions of other numbers have other bytes in each kind of part.
func New(t testing.TB, name string, number int) Slot {
	t.Helper()
	b, err := board.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 200_000)
	if _, err := rand.NewChaCha8([32]byte{byte(number)}).Read(noise); err != nil {
		t.Fatal(err)
	}
	s := Slot{Board: b, Files: map[string][]byte{}, packed: map[packedKey][]byte{}}
	for i, file := range b.SlotFiles {
		s.Files[file] = noise[i : 5000+i]
		if path.Ext(file) == ".dtb" {
			s.Files[file] = append(binary.BigEndian.AppendUint32([]byte{0xd0, 0x0d, 0xfe, 0xed}, 5008), noise[:5000]...)
		}
	}
	s.Files[card.CmdlineName] = fmt.Appendf(nil, "console=ttyAMA0 root=PARTUUID=%s/PARTNROFF=1 init=/gokrazy/init "+
		"version=%d\n", card.PartitionID(card.Boot+1), number)
	sources, err := json.Marshal(card.Provenance{Board: name, Release: Release})
	if err != nil {
		t.Fatal(err)
	}
	s.Files[card.SourcesName] = sources
	kernel := append(slices.Clone(noise), "Linux version "+Release+" (somebody)"...)
	if len(b.EarlyModules) > 0 {
		s.Files[card.InitrdName] = archive(t, number)
		kernel = noise // a zImage, which does not say its release
		for at, word := range map[int]uint32{0x24: 0x016f2818, 0x28: 0, 0x2c: uint32(len(kernel)), 0x30: 0x04030201} {
			binary.LittleEndian.PutUint32(kernel[at:], word)
		}
	}
	s.Files[board.KernelName] = append(kernel, make([]byte, 100)...)
	s.fillRoot(noise)
	return s
}

// archive is an initramfs with an init and one module.
func archive(t testing.TB, number int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for _, e := range []struct {
		name string
		body []byte
	}{{"init", fmt.Append(nil, number)}, {"early/000-x.ko", imagetest.Module(Release)}, {"TRAILER!!!", nil}} {
		fmt.Fprintf(z, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s%s%s%s", 0, 0o100755, 0, 0, 1, 0,
			len(e.body), 0, 0, 0, 0, len(e.name)+1, 0, e.name, strings.Repeat("\x00", 1+-(110+len(e.name)+1)&3),
			e.body, strings.Repeat("\x00", -len(e.body)&3))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (s *Slot) fillRoot(noise []byte) {
	program := append([]byte(elf.ELFMAG+"\x02\x01\x01"), make([]byte, 9)...)
	program = binary.LittleEndian.AppendUint16(program, uint16(elf.ET_EXEC))
	machine := elf.EM_AARCH64
	if s.Board.Machine == elf.EM_ARM.String() {
		machine = elf.EM_ARM
	}
	program = append(binary.LittleEndian.AppendUint16(program, uint16(machine)), noise[:30_000]...)
	for _, p := range card.RootPrograms() {
		s.Root = append(s.Root, disk.Entry{Path: p.Path, Mode: 0o755, Bytes: program})
	}
	s.Root = append(s.Root, disk.Entry{Path: card.BoardFile, Bytes: []byte(s.Board.Name + "\n")})
	folder := "lib/modules/" + Release
	if len(s.Board.Modules) > 0 {
		s.Root = append(s.Root, disk.Entry{Path: folder + "/modules.builtin", Bytes: []byte("kernel/x.ko\n")})
	}
	for _, m := range s.Board.Modules {
		s.Root = append(s.Root, disk.Entry{Path: path.Join(folder, m), Bytes: imagetest.Module(Release)})
	}
}

// RootImage is the root as it lies in its partition. An entry of Root must not change afterwards.
func (s Slot) RootImage(t testing.TB) []byte {
	t.Helper()
	key := packedKey{&s.Root[0], len(s.Root)}
	if b, ok := s.packed[key]; ok {
		return b
	}
	b, err := disk.SquashFS(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	if s.packed != nil {
		s.packed[key] = b
	}
	return b
}

// Manifest lists the parts. The index is the number times 1000.
func (s Slot) Manifest(t testing.TB, number int, keys ...string) update.Manifest {
	t.Helper()
	m := update.Manifest{Format: update.Format, Board: s.Board.Name, Version: fmt.Sprintf("v%d", number),
		Index: int64(number) * 1000, TrialS: 5, MinimumLayout: 1, Keys: keys}
	m.Parts = append(m.Parts, Part(update.RootName, s.RootImage(t)))
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		m.Parts = append(m.Parts, Part(update.BootPrefix+name, s.Files[name]))
	}
	return m
}

// Part describes bytes.
func Part(name string, b []byte) update.Part {
	sum := sha256.Sum256(b)
	return update.Part{Name: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// ConfigText is config.txt or tryboot.txt of a card.
func ConfigText(n slot.Name) []byte {
	text := fmt.Sprintf("[pi4]\nos_prefix=%s/\nkernel=vmlinuz\n[pi5]\nos_prefix=%[1]s/\nkernel=vmlinuz\n[all]\n",
		n.Folder())
	return []byte(text + strings.Repeat("\n", disk.SectorSize-len(text)))
}

// image is a file in memory.
type image []byte

func (i image) WriteAt(b []byte, at int64) (int, error) { return copy(i[at:], b), nil }

// Card is a card of Size bytes with the slot promoted as a and an unsigned manifest in it, as a new
// one has it.
func Card(t testing.TB, s Slot, m update.Manifest) []byte {
	t.Helper()
	w := make(image, Size)
	WriteCard(t, w, bootSize, rootSize, s, m)
	return w
}

// WriteCard is Card for partitions of other sizes. w is all zero and has 3 MiB more than they.
func WriteCard(t testing.TB, w io.WriterAt, bootSize, rootSize int64, s Slot, m update.Manifest) {
	t.Helper()
	ids := make([]disk.GUID, card.Partitions+1)
	for i := range ids {
		id, err := disk.ParseGUID(card.PartitionID(i))
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	table := disk.Table{Disk: ids[0], Size: bootSize + 2*rootSize + 3*mib}
	at := int64(mib)
	for i, size := range []int64{bootSize, rootSize, rootSize, mib} { // the last is /perm
		p := disk.Partition{Type: disk.TypeLinux, ID: ids[i+1], Start: at, Size: size}
		table.Partitions = append(table.Partitions, p)
		at += size
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	boot := []disk.Entry{{Path: "a/" + card.ManifestName, Bytes: raw}, {Path: card.SeedName, Bytes: []byte("{}\n")},
		{Path: card.BootScriptName, Bytes: []byte("script")}}
	for name, b := range s.Files {
		boot = append(boot, disk.Entry{Path: "a/" + name, Bytes: b})
	}
	if s.Board.Loader == board.PiFirmware {
		boot = append(boot, disk.Entry{Path: card.ConfigName, Bytes: ConfigText(slot.A)},
			disk.Entry{Path: card.TrybootName, Bytes: ConfigText(slot.B)})
	}
	state := slot.StateSector(slot.State{Slot: slot.A})
	root := s.RootImage(t)
	if int64(len(root)) > rootSize {
		t.Fatalf("a root of %d bytes", len(root))
	}
	_, stateErr := w.WriteAt(state[:], card.StateSector*disk.SectorSize)
	_, rootErr := w.WriteAt(root, table.Partitions[card.RootA].Start)
	p := table.Partitions[card.Boot]
	err = errors.Join(stateErr, rootErr, disk.WriteTable(w, table),
		disk.WriteFAT(io.NewOffsetWriter(w, p.Start), disk.FATOptions{Size: p.Size, Hidden: p.Start, Label: "KRAZYCAM"},
			boot))
	if err != nil {
		t.Fatal(err)
	}
}

// Holds says whether a slot of a card has exactly this version: its root and the files of its folder.
func Holds(t testing.TB, r io.ReaderAt, size int64, n slot.Name, s Slot) error {
	t.Helper()
	table, err := disk.ReadPrimaryTable(r, size)
	if err != nil {
		return err
	}
	p := table.Partitions[card.Boot]
	boot, err := disk.OpenFATFolders(io.NewSectionReader(r, p.Start, p.Size), p.Size, n.Folder())
	if err != nil {
		return err
	}
	for name, want := range s.Files {
		got, err := fs.ReadFile(boot, path.Join(n.Folder(), name))
		if err == nil && name == card.CmdlineName {
			want, err = slot.Cmdline(want, n)
		}
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("%s: %d bytes, want %d: %w", name, len(got), len(want), err)
		}
	}
	root := s.RootImage(t)
	got := make([]byte, len(root))
	if _, err := r.ReadAt(got, table.Partitions[n.RootPartition()-1].Start); err != nil || !bytes.Equal(got, root) {
		return fmt.Errorf("the root differs: %w", err)
	}
	return nil
}
