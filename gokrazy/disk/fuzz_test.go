package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"testing"
)

// drain reads everything a tree holds: what was accepted must also be readable
// within limits, or say that it is damaged.
func drain(t *testing.T, tree fs.FS) {
	var total int64
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || total > 64*mib {
			return err
		}
		f, err := tree.Open(name)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, f)
		total += n
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Errorf("walk: %v", err)
	}
}

// patched is whole with bytes written over it in two places: mutating a few bytes
// of a right image gets deeper than mutating all of it.
func patched(whole []byte, at1, at2 uint32, patch1, patch2 []byte) []byte {
	b := bytes.Clone(whole)
	copy(b[min(int(at1), len(b)):], patch1)
	copy(b[min(int(at2), len(b)):], patch2)
	return b
}

func FuzzReadTable(f *testing.F) {
	table := exampleTable()
	table.Size = mib / 2
	table.Partitions = []Partition{{Type: TypeLinux, ID: GUID{1}, Start: 64 * 1024, Size: 1024}}
	d := newDisk(f, table.Size)
	if err := WriteTable(d, table); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(d.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(SectorSize+40), uint32(2*SectorSize), []byte{1}, []byte{2})
	f.Fuzz(func(t *testing.T, at1, at2 uint32, patch1, patch2 []byte) {
		b := patched(whole, at1, at2, patch1, patch2)
		// Right checksums, else no mutation gets past them.
		for _, header := range [][]byte{b[SectorSize:][:gptHeaderSize], b[len(b)-SectorSize:][:gptHeaderSize]} {
			at := binary.LittleEndian.Uint64(header[72:])
			if at < uint64(len(b)/SectorSize-gptEntrySectors) {
				binary.LittleEndian.PutUint32(header[88:],
					crc32.ChecksumIEEE(b[at*SectorSize:][:gptEntries*gptEntrySize]))
			}
			binary.LittleEndian.PutUint32(header[16:], 0)
			binary.LittleEndian.PutUint32(header[16:], crc32.ChecksumIEEE(header))
		}
		if got, err := ReadTable(bytes.NewReader(b), int64(len(b))); err == nil && got.checkLayout() != nil {
			t.Errorf("accepted %v", got)
		}
	})
}

func FuzzOpenFAT(f *testing.F) {
	const size = 5 * mib / 2
	d := newDisk(f, size)
	if err := WriteFAT(d, FATOptions{Size: size}, []Entry{
		{Path: "a long name.txt", Bytes: make([]byte, 3000)}, {Path: "d/e/f.txt", Bytes: []byte("f")},
	}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(d.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(11), uint32(SectorSize), []byte{0}, []byte{1})
	f.Fuzz(func(t *testing.T, at1, at2 uint32, patch1, patch2 []byte) {
		// Boot sector, tables and folders are in the first 64 KiB.
		b := patched(whole, at1%65536, at2%65536, patch1, patch2)
		if fat, err := OpenFAT(bytes.NewReader(b), size); err == nil {
			drain(t, fat)
		}
	})
}

func FuzzOpenSquashFS(f *testing.F) {
	whole, err := SquashFS([]Entry{
		// Noise is stored as it is, metadata of this size too: patches reach it.
		{Path: "a/b/c", Bytes: []byte("some bytes that do not get any shorter")},
		{Path: "l", Mode: fs.ModeSymlink | 0o777, Target: "a"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), uint32(100), []byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, at1, at2 uint32, patch1, patch2 []byte) {
		b := patched(whole, at1, at2, patch1, patch2)
		if tree, err := OpenSquashFS(bytes.NewReader(b), int64(len(b))); err == nil {
			drain(t, tree)
		}
	})
}

// FuzzSquashFSInodes packs mutated metadata the way it has to be packed.
func FuzzSquashFSInodes(f *testing.F) {
	f.Add([]byte{1, 0, 0xed, 1}, []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, inodes, folders []byte) {
		w := &sqfsWriter{count: 1}
		w.out.Write(make([]byte, sqfsSuperSize))
		w.inodes.appendRecord(inodes)
		w.folders.appendRecord(folders)
		b := w.assembleFile(sqfsChild{})
		if tree, err := OpenSquashFS(bytes.NewReader(b), int64(len(b))); err == nil {
			drain(t, tree)
		}
	})
}
