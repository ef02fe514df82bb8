// Cards on Windows: the volumes on them are locked and dismounted, then the disk is written.
// Sources: Microsoft's reference of FSCTL_LOCK_VOLUME, FSCTL_DISMOUNT_VOLUME, IOCTL_DISK_GET_LENGTH_INFO.

package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	// exclusive has no meaning for files.
	exclusive = 0

	fsctlLockVolume     = 0x00090018
	fsctlDismountVolume = 0x00090020
	ioctlDiskLength     = 0x0007405c
	ioctlDiskProperties = 0x00070140 // IOCTL_DISK_UPDATE_PROPERTIES: look at the partitions anew
)

// List gives the drives that can be taken out and have a medium.
func List(ctx context.Context) ([]Drive, error) {
	w, err := askWindows(ctx)
	if err != nil {
		return nil, err
	}
	return w.drives(), nil
}

func askWindows(ctx context.Context) (windowsDrives, error) {
	cmd := exec.CommandContext(ctx, "powershell.exe", "-NoProfile", "-NonInteractive", "-EncodedCommand",
		encodedCommand(drivesScript))
	b, err := cmd.Output()
	if err != nil {
		return windowsDrives{}, fmt.Errorf("PowerShell: %w", err)
	}
	return parseWindows(b)
}

// namesDevice gives a drive the name that the list has.
func namesDevice(path string) (string, bool) {
	number, ok := physicalDrive(path)
	return devicePrefix + strconv.Itoa(number), ok
}

func checkDevice(path string, image *os.File, sure bool) error {
	number, ok := physicalDrive(path)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNotACard, path)
	}
	w, err := askWindows(context.Background())
	if err != nil {
		return err
	}
	where, err := filepath.Abs(image.Name())
	if err != nil {
		return err
	}
	return w.check(number, strings.TrimSuffix(filepath.VolumeName(where), ":"), sure)
}

// openDevice locks each volume of the card: it fails while a program has a file on it open.
func openDevice(path string) (_ Target, _ int64, err error) {
	number, _ := physicalDrive(path)
	w, err := askWindows(context.Background())
	if err != nil {
		return nil, 0, err
	}
	d := &physicalDisk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, name := range w.volumes(number) {
		volume, err := openHandle(name, windows.GENERIC_READ|windows.GENERIC_WRITE)
		if err != nil {
			return nil, 0, err
		}
		d.volumes = append(d.volumes, volume)
		if err := control(volume, fsctlLockVolume, nil); err != nil {
			return nil, 0, fmt.Errorf("%w: %s: close what uses %s: %w", ErrInUse, path, name, err)
		}
		if err := control(volume, fsctlDismountVolume, nil); err != nil {
			return nil, 0, fmt.Errorf("%w: %s: %s: %w", ErrInUse, path, name, err)
		}
	}
	if err := d.open(path, windows.GENERIC_READ|windows.GENERIC_WRITE); err != nil {
		return nil, 0, err
	}
	return d, d.size, nil
}

func readDevice(path string) (Source, int64, error) {
	d := &physicalDisk{}
	if err := d.open(path, windows.GENERIC_READ); err != nil {
		return nil, 0, errors.Join(err, d.Close())
	}
	return d, d.size, nil
}

// open opens the disk itself.
func (d *physicalDisk) open(path string, access uint32) (err error) {
	if d.disk, err = openHandle(path, access); err != nil {
		return err
	}
	d.file = os.NewFile(uintptr(d.disk), path)
	length := make([]byte, 8)
	if err := control(d.disk, ioctlDiskLength, length); err != nil {
		return fmt.Errorf("%s: size: %w", path, err)
	}
	d.sectorDevice = sectorDevice{d.file, *(*int64)(unsafe.Pointer(&length[0]))}
	d.written = access&windows.GENERIC_WRITE != 0
	return nil
}

func openHandle(path string, access uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	h, err := windows.CreateFile(name, access, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return h, nil
}

func control(h windows.Handle, code uint32, out []byte) error {
	var n uint32
	var first *byte
	if len(out) > 0 {
		first = &out[0]
	}
	return windows.DeviceIoControl(h, code, nil, 0, first, uint32(len(out)), &n, nil)
}

// A physicalDisk has no cache of its own on this machine. Its volumes are locked until it is closed.
type physicalDisk struct {
	sectorDevice
	disk    windows.Handle
	file    *os.File
	volumes []windows.Handle
	written bool
}

func (d *physicalDisk) Sync() error                { return d.file.Sync() }
func (d *physicalDisk) DropCache() error           { return nil }
func (d *physicalDisk) Discard(int64, int64) error { return errors.ErrUnsupported }

// Close gives the volumes back, and has Windows look at the new partitions.
func (d *physicalDisk) Close() (err error) {
	if d.written {
		_ = control(d.disk, ioctlDiskProperties, nil)
	}
	if d.file != nil {
		err = d.file.Close()
	}
	for _, v := range d.volumes {
		err = errors.Join(err, windows.CloseHandle(v))
	}
	return err
}

func inUse(err error) error { return err }

// lock takes a file for this process, and does not wait. Source: LockFileEx.
func lock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	// Far behind the file's end: what is locked, this process could not read by another handle.
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return fmt.Errorf("%w: %s: another program writes it", ErrInUse, f.Name())
	}
	return nil
}

func discard(*os.File, int64, int64) error { return errors.ErrUnsupported }

// dropCache does nothing: what was written into a file is read from memory.
func dropCache(*os.File) error { return nil }
