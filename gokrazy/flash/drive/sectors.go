// Devices that take whole sectors only: macOS's raw disks and Windows' physical drives.

package drive

import (
	"fmt"
	"io"
)

// sectorRoom holds the sectors of every card, of 512 bytes or 4096.
const sectorRoom = 4096

// readerWriterAt is such a device.
type readerWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// A sectorDevice reads and writes any bytes of a device of size bytes that takes whole sectors only.
type sectorDevice struct {
	device readerWriterAt
	size   int64
}

// whole is the range of sectors around n bytes at at. Only a card's last sector may be a smaller one.
func (d sectorDevice) whole(at int64, n int) (from, to int64, err error) {
	to = at + int64(n)
	if at < 0 || to > d.size {
		return 0, 0, fmt.Errorf("bytes %d to %d of a card of %d: %w", at, to, d.size, io.ErrUnexpectedEOF)
	}
	return at &^ (sectorRoom - 1), min((to+sectorRoom-1)&^(sectorRoom-1), d.size), nil
}

// ReadAt reads the sectors around the bytes if these are no whole ones.
func (d sectorDevice) ReadAt(b []byte, at int64) (int, error) {
	from, to, err := d.whole(at, len(b))
	if err != nil {
		return 0, err
	}
	if from == at && to-from == int64(len(b)) {
		return d.device.ReadAt(b, at)
	}
	all := make([]byte, to-from)
	if n, err := d.device.ReadAt(all, from); n < len(all) {
		return 0, err
	}
	return copy(b, all[at-from:]), nil
}

// WriteAt keeps what else is in the sectors.
func (d sectorDevice) WriteAt(b []byte, at int64) (int, error) {
	from, to, err := d.whole(at, len(b))
	if err != nil {
		return 0, err
	}
	if from == at && to-from == int64(len(b)) {
		return d.device.WriteAt(b, at)
	}
	all := make([]byte, to-from)
	if n, err := d.device.ReadAt(all, from); n < len(all) {
		return 0, err
	}
	copy(all[at-from:], b)
	if n, err := d.device.WriteAt(all, from); n < len(all) {
		return 0, err
	}
	return len(b), nil
}
