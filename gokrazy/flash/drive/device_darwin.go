// Cards on macOS: their files are closed by diskutil, then the raw disk is written, which has no cache.

package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// exclusive has no meaning for files.
const exclusive = 0

// List gives the drives that can be taken out and have a medium.
func List(ctx context.Context) ([]Drive, error) { return listDiskutil(ctx, runCommand) }

func runCommand(ctx context.Context, name string, args ...string) ([]byte, error) {
	return exec.CommandContext(ctx, name, args...).Output()
}

// namesDevice takes a disk's name as diskutil and the lists have it.
func namesDevice(path string) (string, bool) {
	if m := diskName.FindStringSubmatch(path); m != nil {
		return "/dev/" + m[1], true
	}
	return "", false
}

func checkDevice(path string, image *os.File, sure bool) error {
	if _, ok := namesDevice(path); !ok {
		return fmt.Errorf("%w: %s is a partition, name the whole card", ErrNotACard, path)
	}
	if _, err := checkDiskutil(context.Background(), runCommand, path, sure); err != nil {
		return err
	}
	var own unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(int(image.Fd()), &own), unix.Fstatfs(int(image.Fd()), &fs)); err != nil {
		return fmt.Errorf("%s: %w", image.Name(), err)
	}
	if from := unix.ByteSliceToString(fs.Mntfromname[:]); from == path || strings.HasPrefix(from, path+"s") {
		return fmt.Errorf("%w: %s holds the image itself", ErrInUse, path)
	}
	return mayWrite(path)
}

// openDevice closes the card's files on the desktop first.
func openDevice(path string) (Target, int64, error) {
	ctx := context.Background()
	size, err := checkDiskutil(ctx, runCommand, path, true)
	if err != nil {
		return nil, 0, err
	}
	if out, err := exec.CommandContext(ctx, "diskutil", "unmountDisk", path).CombinedOutput(); err != nil {
		return nil, 0, fmt.Errorf("%w: %s: %w: %s", ErrInUse, path, err, strings.TrimSpace(string(out)))
	}
	f, err := os.OpenFile(rawName(path), os.O_RDWR|unix.O_EXLOCK|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("%w: %s: another program writes it: %w", ErrInUse, path, err)
	}
	if err != nil {
		return nil, 0, err
	}
	return rawDisk{sectorDevice{f, size}, f}, size, nil
}

// rawName is the disk without the system's cache.
func rawName(path string) string { return "/dev/r" + strings.TrimPrefix(path, "/dev/") }

func readDevice(path string) (Source, int64, error) {
	about, err := diskutilInfo(context.Background(), runCommand, path)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(rawName(path), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	size := sizeMac(about)
	return rawDisk{sectorDevice{f, size}, f}, size, nil
}

func inUse(err error) error { return err }

// A rawDisk has no cache of its own on this machine.
type rawDisk struct {
	sectorDevice
	file *os.File
}

func (d rawDisk) Close() error               { return d.file.Close() }
func (d rawDisk) DropCache() error           { return nil }
func (d rawDisk) Discard(int64, int64) error { return errors.ErrUnsupported }

// Sync waits for the reader's own cache, where it can be asked to.
func (d rawDisk) Sync() error {
	err := d.file.Sync()
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func discard(*os.File, int64, int64) error { return errors.ErrUnsupported }

// dropCache does nothing: what was written into a file is read from memory.
func dropCache(*os.File) error { return nil }
