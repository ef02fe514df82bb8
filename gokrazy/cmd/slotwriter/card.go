// The card: all of it to read, and the two partitions that are written.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// A cardInParts is an open card.
type cardInParts struct {
	whole slot.Disk // written by nobody here
	size  int64

	boot, target       disk.SyncDisk // partitions: the first, and the root of the slot that does not run
	running            io.ReaderAt   // the running slot's root
	bootSize, rootSize int64         // of the partitions, the latter of both roots

	closers []io.Closer
}

func (c *cardInParts) close() {
	for _, opened := range c.closers {
		opened.Close() // what was written is flushed and read back already
	}
}

// openCard opens a block device and two of its partitions, or a file in the place of a card.
func openCard(path string, running slot.Name) (_ *cardInParts, err error) {
	c := &cardInParts{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	isFile := info.Mode().IsRegular()
	open := slot.OpenDeviceReadOnly
	if isFile {
		open = func(path string) (*slot.Device, error) { return slot.OpenDevice(path, false) }
	}
	whole, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	c.closers = append(c.closers, whole)
	part := func(number int, p disk.Partition) (disk.SyncDisk, error) {
		if isFile {
			return section{whole, p.Start, p.Size}, nil
		}
		d, err := openPartition(path, number, p.Size)
		if err != nil {
			return nil, err
		}
		c.closers = append(c.closers, d)
		return d, nil
	}
	return c, c.open(whole, whole.Size(), running, part)
}

// open reads the table and opens what it says.
func (c *cardInParts) open(whole slot.Disk, size int64, running slot.Name,
	part func(number int, p disk.Partition) (disk.SyncDisk, error)) error {
	c.whole, c.size = whole, size
	table, err := disk.ReadPrimaryTable(whole, size)
	if err != nil {
		return fmt.Errorf("card: %w", err)
	}
	if len(table.Partitions) < card.Partitions {
		return fmt.Errorf("card: %d partitions, want %d", len(table.Partitions), card.Partitions)
	}
	of := func(number int) disk.Partition { return table.Partitions[number-1] }
	boot, from, to := card.Boot+1, running.RootPartition(), running.Other().RootPartition()
	if c.boot, err = part(boot, of(boot)); err != nil {
		return err
	}
	if c.target, err = part(to, of(to)); err != nil {
		return err
	}
	c.running = io.NewSectionReader(whole, of(from).Start, of(from).Size)
	c.bootSize, c.rootSize = of(boot).Size, min(of(from).Size, of(to).Size)
	return nil
}

// openPartition opens the kernel's node of a partition: mmcblk0p3, vda3. One that is mounted is
// refused by the kernel.
func openPartition(path string, number int, size int64) (*slot.Device, error) {
	if last := path[len(path)-1]; last >= '0' && last <= '9' {
		path += "p"
	}
	path += strconv.Itoa(number)
	d, err := slot.OpenDevice(path, true)
	if err != nil {
		return nil, fmt.Errorf("partition %d: %w", number, err)
	}
	if d.Size() != size {
		return nil, errors.Join(fmt.Errorf("%s: %d bytes, the card's table says %d", path, d.Size(), size), d.Close())
	}
	return d, nil
}

// A section is a partition of a file.
type section struct {
	slot.Disk
	start, size int64
}

func (s section) ReadAt(b []byte, at int64) (int, error) {
	return io.NewSectionReader(s.Disk, s.start, s.size).ReadAt(b, at)
}

func (s section) WriteAt(b []byte, at int64) (int, error) {
	if at < 0 || at > s.size-int64(len(b)) {
		return 0, fmt.Errorf("write %d bytes at %d of a partition of %d: %w", len(b), at, s.size, io.ErrShortWrite)
	}
	return s.Disk.WriteAt(b, s.start+at)
}
