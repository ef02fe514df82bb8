// Room on /perm: what goes when it is full, and more of it on a larger card.

package perm

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// Below this the partition counts as full: settings, state and events need a tenth of it at most,
// and a replaced file needs its room twice.
const (
	roomBytes = 4 << 20
	roomFiles = 64
)

// expendable are the folders that are emptied when /perm is full, in this order, but for one file of
// each. Logs and what programs keep at home are not ours. Then come the folders of the services, which
// fill them in foreign hands only: camsource loses the id of its stream, camweb which versions it
// fetched. An update can be fetched again, but it may be the one that room is made for, to note that it
// is tried: so it comes after what others fill.
var expendable = []struct{ folder, but string }{
	{"var/log", ""}, {"var/tmp", ""}, {"home", ""},
	{"camsource", ""}, {"update/spool", ""}, {"camweb", board.WebKeyFile},
}

// MakeRoom empties folders until there is room, and says in words what went; "" if there was room.
// The error says that it was not enough.
func MakeRoom(dir string) (removed string, err error) {
	removed, err = makeRoom(dir, func() (bool, error) { return hasRoom(dir) })
	return strings.TrimPrefix(removed, ", "), err
}

func makeRoom(dir string, enough func() (bool, error)) (removed string, err error) {
	for _, e := range expendable {
		if fine, err := enough(); fine || err != nil {
			return removed, err
		}
		path := filepath.Join(dir, e.folder)
		if n := empty(path, e.but); n > 0 {
			removed += fmt.Sprintf(", %d entries of %s", n, path)
		}
	}
	fine, err := enough()
	if err == nil && !fine {
		err = fmt.Errorf("%s is full, and nothing is left there that could go", dir)
	}
	return removed, err
}

func hasRoom(dir string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return isRoomy(st), nil
}

func isRoomy(st unix.Statfs_t) bool {
	return st.Bavail*uint64(st.Bsize) >= roomBytes && st.Ffree >= roomFiles
}

// empty removes what a folder has, but for one file, and says how much; the folder itself stays, with
// its owner.
func empty(dir, but string) int {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if e.Name() == but && isSmall(e) {
			continue
		}
		if os.RemoveAll(filepath.Join(dir, e.Name())) == nil {
			n++
		}
	}
	return n
}

// isSmall says that it is a plain file of a size that a key may have.
func isSmall(e os.DirEntry) bool {
	info, err := e.Info()
	return err == nil && info.Mode().IsRegular() && info.Size() <= rescueFile
}

// resize is EXT4_IOC_RESIZE_FS of fs/ext4/ext4.h, _IOW('f', 16, __u64): it takes a number of blocks.
const resize = 1<<30 | 8<<16 | 'f'<<8 | 16

// growLeast is how much larger the partition must be to be worth it. The kernel leaves a group of
// blocks alone that would be too small to hold its own tables.
const growLeast = 64 << 20

// Grow makes the file system at dir as large as its partition node, while it is mounted, and returns
// its size in bytes before and after. A power cut meanwhile does no harm: each group of blocks is
// added in one transaction of the journal.
func Grow(dir, node string) (before, after int64, err error) {
	super, err := readSuper(node)
	if err != nil {
		return 0, 0, err
	}
	block := int64(1024) << (binary.LittleEndian.Uint32(super[superLog:]) & 7)
	before = block * (int64(binary.LittleEndian.Uint32(super[superBlocks:])) |
		int64(binary.LittleEndian.Uint32(super[superHigh:]))<<32)
	size, err := deviceSize(node)
	if err != nil {
		return before, before, err
	}
	want := min(size, card.PermMost) / block
	if want*block < before+growLeast {
		return before, before, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return before, before, err
	}
	defer d.Close() // read only
	blocks := uint64(want)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), resize, uintptr(unsafe.Pointer(&blocks)))
	if errno != 0 {
		return before, before, fmt.Errorf("grow %s to %d blocks of %d bytes: %w", dir, blocks, block, errno)
	}
	return before, want * block, nil
}

func deviceSize(node string) (int64, error) {
	f, size, err := openfile.Disk(node, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}
