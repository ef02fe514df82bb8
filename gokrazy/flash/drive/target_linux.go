// Cards on Linux: opened for one process, discarded, read past the cache.
// Sources: open(2) about O_EXCL, flock(2), the kernel's include/uapi/linux/fs.h.

package drive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exclusive makes opening a block device fail with EBUSY while something of it is
// mounted or otherwise claimed: the kernel's own word beside our look.
const exclusive = unix.O_EXCL

// namesDevice is for systems whose devices have names of their own.
func namesDevice(string) (string, bool) { return "", false }

func openDevice(path string) (Target, int64, error) {
	return nil, 0, fmt.Errorf("%w: %s", ErrNotACard, path)
}

func readDevice(path string) (Source, int64, error) {
	return nil, 0, fmt.Errorf("%w: %s", ErrNotACard, path)
}

func inUse(err error) error {
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%w: %w: something has it: another camctl flash, a mount, swap, LVM or RAID", ErrInUse, err)
	}
	return err
}

// discard gives blocks of a device back. A file in the place of a card has none.
func discard(f *os.File, at, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeDevice == 0 {
		return errors.ErrUnsupported
	}
	extent := [2]uint64{uint64(at), uint64(size)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKDISCARD, uintptr(unsafe.Pointer(&extent)))
	if errno != 0 {
		return fmt.Errorf("discard %d bytes at %d: %w", size, at, errno)
	}
	return nil
}

// dropCache makes the next read come from the card.
func dropCache(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
