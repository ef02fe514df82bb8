package update

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// smallDisk is a file system of size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	need.Root(t, "for a disk of its own")
	dir := t.TempDir()
	if err := syscall.Mount("update", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskIsSaidBeforeAnythingIsSent(t *testing.T) {
	dir := smallDisk(t, "8m") // less than what must stay free
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	s, err := MakeSpool(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Begin(v.raw, v.sig, v.manifest, nil)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "MiB, free are") {
		t.Errorf("Begin = %v, want %v", err, ErrNoSpace)
	}
	if _, _, err := s.Manifest(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Manifest = %v: it was begun all the same", err)
	}
}

// Somebody else fills the disk while the update comes; later there is room again.
func TestDiskThatFillsUpLosesNothingButThePart(t *testing.T) {
	dir := smallDisk(t, "9m")
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	s, err := MakeSpool(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Begin(v.raw, v.sig, v.manifest, nil); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(filler, zeroReader{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := errors.Join(filler.Truncate(9<<20-64<<10), filler.Close()); err != nil { // 40 kB are left
		t.Fatal(err)
	}
	_, err = s.Take(bytes.NewReader(v.bundle(t)), nil, 0, check(Manifest{}, nil, by.public))
	if !errors.Is(err, ErrNoSpace) {
		t.Errorf("Take = %v, want %v", err, ErrNoSpace)
	}
	root := v.manifest.Root()
	err = s.Put(root, 0, bytes.NewReader(v.content[root.SHA256]))
	if !errors.Is(err, ErrNoSpace) || s.Partial(root) != 0 {
		t.Errorf("Put = %v, %d bytes kept, want %v and none", err, s.Partial(root), ErrNoSpace)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(bytes.NewReader(v.bundle(t)), nil, 0, check(Manifest{}, nil, by.public)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
