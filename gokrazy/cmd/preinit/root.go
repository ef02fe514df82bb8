// The root is found on the disk whose partition table has the named GUID.
// Source: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-block

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	// rootTimeout: a card answers within a second of its driver's start; one that is missing
	// after ten will not answer. The watchdog that U-Boot started resets the board after 60 s.
	rootTimeout = 10 * time.Second
	// rootReportDelay is when the console gets a message: it can be read until rootTimeout.
	rootReportDelay   = 3 * time.Second
	rootRetryInterval = 20 * time.Millisecond
)

var errNoRoot = errors.New("no such partition on any disk")

// disks is the kernel's list of disks and partitions.
type disks struct {
	sys  fs.FS // /sys/class/block
	open func(name string) (io.ReaderAt, func() error, error)
}

func kernelDisks() disks {
	return disks{os.DirFS("/sys/class/block"), func(name string) (io.ReaderAt, func() error, error) {
		f, err := os.Open("/dev/" + name)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}}
}

// waitForRoot returns the root's node, such as /dev/mmcblk0p2, as soon as it exists.
func waitForRoot(console io.Writer, want rootName) (string, error) {
	d := kernelDisks()
	begin, reported := uptime(), false
	for {
		name, err := d.findRoot(want)
		if err == nil {
			return "/dev/" + name, nil
		}
		waited := uptime() - begin
		if waited >= rootTimeout {
			return "", err
		}
		if waited >= rootReportDelay && !reported {
			reported = true
			reportFailure(console, err, rootTimeout-waited)
		}
		time.Sleep(rootRetryInterval)
	}
}

// findRoot searches the present disks once. If two disks have the partition, such as a card and a
// copy of it in the built-in memory, the first counts: the kernel numbers the card first.
func (d disks) findRoot(want rootName) (string, error) {
	entries, err := fs.ReadDir(d.sys, ".")
	if err != nil {
		return "", err
	}
	var seen []string
	for _, e := range entries {
		if _, err := fs.Stat(d.sys, path.Join(e.Name(), "partition")); err == nil {
			continue
		}
		size := d.readNumber(e.Name(), "size") * disk.SectorSize
		if size <= 0 {
			continue // a card reader without a card, a loop device without a file
		}
		seen = append(seen, e.Name())
		number, err := d.partitionNumber(e.Name(), size, want)
		if err != nil {
			continue // no partition table, or another one: the error below names the disk
		}
		if name, ok := d.partitionName(e.Name(), number); ok {
			return name, nil
		}
	}
	if len(seen) == 0 {
		seen = []string{"none"}
	}
	return "", fmt.Errorf("%w: PARTUUID=%s/PARTNROFF=%d, disks: %s",
		errNoRoot, want.partition, want.offset, strings.Join(seen, ", "))
}

// partitionNumber returns the number of the wanted partition in a disk's table.
func (d disks) partitionNumber(name string, size int64, want rootName) (int, error) {
	r, shut, err := d.open(name)
	if err != nil {
		return 0, err
	}
	defer shut() // read only: nothing is lost
	table, err := disk.ReadPrimaryTable(r, size)
	if err != nil {
		return 0, err
	}
	isWanted := func(p disk.Partition) bool { return p.ID == want.partition }
	i := slices.IndexFunc(table.Partitions, isWanted)
	if i < 0 {
		return 0, errNoRoot
	}
	return i + 1 + want.offset, nil
}

// partitionName returns the name of a disk's partition: mmcblk0 has mmcblk0p2, vda has vda2.
func (d disks) partitionName(name string, number int) (string, bool) {
	entries, err := fs.ReadDir(d.sys, name)
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		if d.readNumber(path.Join(name, e.Name()), "partition") == int64(number) {
			return e.Name(), true
		}
	}
	return "", false
}

// readNumber reads a number from sysfs; 0 if there is none.
func (d disks) readNumber(dir, file string) int64 {
	b, err := fs.ReadFile(d.sys, path.Join(dir, file))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
