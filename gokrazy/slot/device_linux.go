// The card as the kernel gives it, past the kernel's cache: what is written is on its way at once,
// and what is read back was on the card. Source: open(2), "O_DIRECT".

package slot

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// deviceBuffer is the most that one call to the kernel moves.
const deviceBuffer = 1 << 20

// bufferAlign is what any block device asks of a buffer's address: a page.
const bufferAlign = 4096

// A Device is a card, one of its partitions, or a file in the place of one. It is a Disk, safe for
// use by several goroutines. Reads may begin and end anywhere, writes are of whole sectors.
type Device struct {
	file   *os.File
	size   int64
	mu     sync.Mutex
	buffer []byte // aligned
}

// OpenDevice opens a block device, or a plain file in the place of one. With exclusive, a device is
// refused (EBUSY) that is mounted or otherwise in use. A plain file is read and written through the
// kernel's cache: what it may be read by past that differs between file systems.
func OpenDevice(path string, exclusive bool) (*Device, error) {
	if exclusive {
		return openDevice(path, os.O_RDWR|unix.O_EXCL)
	}
	return openDevice(path, os.O_RDWR)
}

// OpenDeviceReadOnly opens one whose writes fail.
func OpenDeviceReadOnly(path string) (*Device, error) { return openDevice(path, os.O_RDONLY) }

func openDevice(path string, flag int) (*Device, error) {
	f, size, err := openfile.Disk(path, flag)
	if err != nil {
		return nil, err
	}
	if err := readDirectly(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	raw := make([]byte, deviceBuffer+bufferAlign)
	skip := -int(uintptr(unsafe.Pointer(&raw[0]))) & (bufferAlign - 1)
	return &Device{file: f, size: size, buffer: raw[skip : skip+deviceBuffer]}, nil
}

// readDirectly has a block device's reads and writes go past the kernel's cache.
func readDirectly(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().IsRegular() {
		return err
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags|unix.O_DIRECT)
	}
	if err != nil {
		return fmt.Errorf("set O_DIRECT: %w", err)
	}
	return nil
}

// Size is the device's in bytes.
func (d *Device) Size() int64 { return d.size }

// Sync flushes the card's own cache, too.
func (d *Device) Sync() error { return d.file.Sync() }

// Close closes it, without a flush.
func (d *Device) Close() error { return d.file.Close() }

// ReadAt implements io.ReaderAt.
func (d *Device) ReadAt(b []byte, at int64) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n < len(b) {
		skip := int((at + int64(n)) % disk.SectorSize)
		want := min((skip+len(b)-n+disk.SectorSize-1)/disk.SectorSize*disk.SectorSize, len(d.buffer))
		got, err := d.file.ReadAt(d.buffer[:want], at+int64(n)-int64(skip))
		if got <= skip {
			return n, err // at the end of the device, io.EOF
		}
		n += copy(b[n:], d.buffer[skip:got])
		if err != nil && n < len(b) {
			return n, err
		}
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (d *Device) WriteAt(b []byte, at int64) (n int, err error) {
	if at%disk.SectorSize != 0 || len(b)%disk.SectorSize != 0 {
		return 0, fmt.Errorf("%s: write %d bytes at %d: not whole sectors", d.file.Name(), len(b), at)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for n < len(b) {
		part := copy(d.buffer, b[n:])
		wrote, err := d.file.WriteAt(d.buffer[:part], at+int64(n))
		if n += wrote; err != nil {
			return n, err
		}
	}
	return n, nil
}
