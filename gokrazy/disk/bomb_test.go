// Images that are small and would unpack to more than a machine has.

package disk

import (
	"errors"
	"runtime"
	"testing"
)

// manyNamesOnOneFile is a FAT whose root has 500 files, all of them the same
// clusters: those of one file that takes half of it.
func manyNamesOnOneFile(t *testing.T) (*FAT, error) {
	t.Helper()
	const size = 220 * mib
	f := newDisk(t, size)
	if err := WriteFAT(f, FATOptions{Size: size}, []Entry{{Path: "A", Bytes: make([]byte, size/2)}}); err != nil {
		t.Fatal(err)
	}
	g, err := fatLayout(size)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 500; i++ {
		name := [11]byte([]byte("N          "))
		name[1], name[2], name[3] = '0'+byte(i/100), '0'+byte(i/10%10), '0'+byte(i%10)
		e := fatShortEntry(fatName{short: name}, fatAttrArchive, 2, size/2)
		if _, err := f.WriteAt(e, (fatReserved+g.fatSectors)*SectorSize+int64(i+1)*fatDirent); err != nil {
			t.Fatal(err)
		}
	}
	return OpenFAT(f, size)
}

// Each name kept a list of 28,000 clusters: 20,000 names, which a folder can have,
// took 6 GB.
func TestOpenFATRefusesMoreClustersThanThereAre(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fat, err := manyNamesOnOneFile(t)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want ErrDamaged", err)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32*mib {
		t.Errorf("%d MiB kept", grown/mib)
	}
	runtime.KeepAlive(fat)
}

// A folder whose only content is itself, below a list of many names, was kept once
// for each of the 32 levels that a tree may have.
func TestOpenSquashFSRefusesFoldersOfMoreThanTheLimitTogether(t *testing.T) {
	s := &sqfsReader{listBytes: sqfsMaxMeta - 10}
	inode := make([]byte, 16)
	inode[8] = 100 // bytes of the folder
	err := s.readFolder(&node{}, &sqfsCursor{s: s, buf: inode}, sqfsFolder, 1)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want ErrDamaged", err)
	}
}
