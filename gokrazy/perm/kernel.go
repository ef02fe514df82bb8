// What the kernel does with the partition.

package perm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// OnBoard is the partition node, mounted at dir, of this machine.
func OnBoard(dir, node string) Disk {
	return Disk{
		Dir: dir, Node: node, Mounted: mountAt, Mount: unix.Mount,
		Unmount: func(dir string) error { return unix.Unmount(dir, 0) },
		Pause:   time.Sleep, Write: writeEmpty, Readable: readBeginning, Flaws: superblockFlaws,
	}
}

// mountAt finds the last mount at dir, which hides those before it.
func mountAt(dir string) (Mount, bool) {
	b, err := openfile.Read("/proc/self/mountinfo", 1<<20)
	if err != nil {
		return Mount{}, false
	}
	return parseMounts(string(b), dir)
}

// parseMounts reads lines such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMounts(table, dir string) (m Mount, found bool) {
	for line := range strings.Lines(table) {
		about, system, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(about), strings.Fields(system)
		if !ok || len(fields) < 6 || len(kind) < 3 || fields[4] != dir {
			continue
		}
		readOnly := hasOption(fields[5], "ro") || hasOption(kind[2], "ro")
		m, found = Mount{kind[0], readOnly}, true
	}
	return m, found
}

func hasOption(list, option string) bool {
	for o := range strings.SplitSeq(list, ",") {
		if o == option {
			return true
		}
	}
	return false
}

// writeEmpty makes the partition an empty file system, if it is as large as the card's layout says.
func writeEmpty(node string) error {
	f, size, err := openfile.Disk(node, os.O_RDWR|unix.O_EXCL)
	if err != nil {
		return err
	}
	if size < card.PermSize {
		return errors.Join(fmt.Errorf("%s has %d bytes, not %d", node, size, card.PermSize), f.Close())
	}
	err = card.WriteEmptyPerm(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// beginning is how much of a partition is read to see whether its device works: the superblock,
// group descriptors and the first inodes lie there.
const beginning = 4 << 20

func readBeginning(node string) error {
	f, size, err := openfile.Disk(node, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if size < card.PermSize {
		return fmt.Errorf("%s has %d bytes, not %d", node, size, card.PermSize)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(f, beginning))
	return err
}

// The superblock of ext4: its place on the partition, and in it.
const (
	superAt     = 1024
	superBytes  = 1024
	superBlocks = 0x04 // lower half; the upper half at 0x150
	superLog    = 0x18 // block size is 1024 << this
	superMagic  = 0x38
	superState  = 0x3a
	superHigh   = 0x150

	magic      = 0xef53
	stateError = 2
)

func readSuper(node string) ([]byte, error) {
	f, _, err := openfile.Disk(node, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, superBytes)
	if _, err := f.ReadAt(b, superAt); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint16(b[superMagic:]) != magic {
		return nil, fmt.Errorf("%s: %w", node, errNoSuper)
	}
	return b, nil
}

var errNoSuper = errors.New("no superblock of ext4")

// superblockFlaws reports what the kernel has written into the superblock when it found damage, in
// this run or an earlier one. That the file system was not unmounted is no flaw: the journal is for
// that.
func superblockFlaws(node string) string {
	b, err := readSuper(node)
	switch {
	case errors.Is(err, errNoSuper):
		return "its superblock is gone"
	case err != nil:
		return "" // the device's trouble; what is mounted may still work
	case binary.LittleEndian.Uint16(b[superState:])&stateError != 0:
		return "the kernel found errors in it"
	}
	return ""
}

// sysfsFile is the most bytes of a file of sysfs: each says that it has a page, which is 64 kB at most.
const sysfsFile = 64 << 10

// Trouble says, for an owner, what has become of the mounted partition node since Ensure; "" is nothing.
// It reads nothing of the card, so it may be asked every second.
func Trouble(dir, node string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Sprintf("missing: %v", err)
	}
	// Documentation/ABI/testing/sysfs-fs-ext4
	count, err := openfile.Read("/sys/fs/ext4/"+filepath.Base(node)+"/errors_count", sysfsFile)
	switch {
	case st.Flags&unix.ST_RDONLY != 0:
		return "read-only"
	case err == nil && strings.TrimSpace(string(count)) != "0":
		return "damaged: the kernel found errors in it, and the next start makes it anew"
	case !isRoomy(st):
		return "full"
	}
	return ""
}
