// Package perm keeps /perm usable: the partition of a board that outlives updates.
//
// gokrazy mounts it, and where that fails it only logs. So process 1 looks at what is mounted. A
// file system that cannot be mounted, or of which the kernel says that it has errors, is replaced by
// an empty one, because no board has e2fsck and nobody may be there to run it; the small files that
// can still be read are put back. A partition that is not there, or whose device fails, is not
// touched: for this start /perm is in memory, and the board streams by the image's defaults and the
// seed. When it is full, what can be fetched again goes first. A partition that is larger than its
// file system is used once that has been grown, while it is mounted.
//
// The package starts nothing. All of it is done by process 1 before anything else uses /perm, but
// for Grow, MakeRoom and Trouble, which may be called at any time.
//
// Sources: ext4(5); Documentation/filesystems/ext4/super.rst of Linux; EXT4_IOC_RESIZE_FS in
// fs/ext4/ioctl.c; mount(2).
package perm

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A Disk is the partition and what the kernel can do with it. Tests play it, or use a loop device.
type Disk struct {
	Dir  string // where it is mounted
	Node string // the partition's device; "" if the card has none

	Mounted func(dir string) (Mount, bool)
	Mount   func(source, dir, kind string, flags uintptr, options string) error
	Unmount func(dir string) error
	Pause   func(time.Duration)
	// Write makes the partition an empty file system.
	Write func(node string) error
	// Readable reads the beginning of the partition, as far as an empty file system reaches.
	Readable func(node string) error
	// Flaws says what the file system's own superblock says of its state; "" is well.
	Flaws func(node string) string
}

// A Mount is one line of /proc/self/mountinfo.
type Mount struct {
	Kind     string // ext4, tmpfs …
	ReadOnly bool
}

// A Report is the state of /perm, for an owner.
type Report struct {
	State   string // "ok", or what is wrong, in words
	Lasts   bool   // what is written outlives the power
	Changes string // what was done to it, in words; "": nothing
}

// OK is the state of a /perm with which nothing is wrong.
const OK = "ok"

// calm are flags that spare the card: no write for a read, and none for a time alone.
const calm = unix.MS_NOATIME | unix.MS_LAZYTIME

// The mount is tried again: a card that has just got its power may fail once.
const (
	mountTries = 3
	mountPause = 300 * time.Millisecond
	// memoryOptions limit what stands in for a partition: settings and state have some 100 kB.
	memoryOptions = "mode=0755,size=16m"
	// rescueOptions: a damaged file system may still be read without its journal and without a check
	// of where its tables lie.
	rescueOptions = "noload,noblock_validity"
)

// Ensure makes the folder one that can be written, and says how.
func (d Disk) Ensure() Report {
	m, mounted := d.Mounted(d.Dir)
	switch {
	case mounted && m.Kind == "ext4":
		return d.checkMounted(m)
	case d.Node == "":
		return d.useMemory("the card has no such partition")
	case mounted: // gokrazy takes a FAT, too, which has no owners and no journal
		if err := d.Unmount(d.Dir); err != nil {
			return Report{State: fmt.Sprintf("a %s, which has no owners: %v", m.Kind, err), Lasts: true}
		}
	}
	err := d.mount()
	if err == nil {
		return d.checkMounted(Mount{Kind: "ext4"})
	}
	if !d.isDamaged(err) {
		return d.useMemory(fmt.Sprintf("the partition cannot be mounted: %v", err))
	}
	return d.replace(fmt.Sprintf("it could not be mounted: %v", err), true)
}

// mount tries a few times.
func (d Disk) mount() error {
	var err error
	for try := range mountTries {
		if try > 0 {
			d.Pause(mountPause)
		}
		if err = d.Mount(d.Node, d.Dir, "ext4", 0, ""); err == nil {
			return nil
		}
	}
	return err
}

// isDamaged says that err is about what stands on the partition, not about a partition that is slow
// to appear or cannot be read: a magic number, a checksum, a structure. EIO may be either; then the
// partition itself has the word.
func (d Disk) isDamaged(err error) bool {
	for _, e := range []error{unix.EINVAL, unix.EUCLEAN, unix.EBADMSG, unix.EIO, unix.EOVERFLOW, unix.EFBIG} {
		if errors.Is(err, e) {
			return d.Readable(d.Node) == nil
		}
	}
	return false
}

// checkMounted is for an ext4 that is mounted.
func (d Disk) checkMounted(m Mount) Report {
	if d.Node != "" {
		if flaws := d.Flaws(d.Node); flaws != "" {
			return d.replace(flaws, false)
		}
	}
	err := d.Mount(d.Node, d.Dir, "ext4", unix.MS_REMOUNT|calm, "")
	if !m.ReadOnly {
		return Report{State: OK, Lasts: true} // with more wear than need be, if that failed
	}
	if err == nil {
		return Report{State: OK, Lasts: true, Changes: "it was mounted read-only, and can be written again"}
	}
	return Report{State: fmt.Sprintf("read-only: %v", err)}
}

// replace writes an empty file system, with the small files that can be read of the old one.
func (d Disk) replace(reason string, unmounted bool) Report {
	var saved []file
	if unmounted {
		if d.Mount(d.Node, d.Dir, "ext4", unix.MS_RDONLY, rescueOptions) == nil {
			saved, unmounted = rescue(d.Dir), false
		}
	} else {
		saved = rescue(d.Dir)
	}
	if !unmounted {
		if err := d.Unmount(d.Dir); err != nil {
			return Report{State: fmt.Sprintf("damaged: %s; it is in use: %v", reason, err), Lasts: true}
		}
	}
	err := d.Write(d.Node)
	if err == nil {
		err = d.mount()
	}
	if err == nil {
		_ = d.Mount(d.Node, d.Dir, "ext4", unix.MS_REMOUNT|calm, "") // as above
	}
	if err != nil {
		r := d.useMemory(fmt.Sprintf("%s, and an empty one cannot be written: %v", reason, err))
		restore(d.Dir, saved) // for this start, at least
		return r
	}
	n := restore(d.Dir, saved)
	changes := fmt.Sprintf("it was made anew, with %d files of the old one: %s", n, reason)
	return Report{State: OK, Lasts: true, Changes: changes}
}

// useMemory mounts a file system in memory: what runs on a board finds a /perm to write to.
func (d Disk) useMemory(reason string) Report {
	r := Report{State: "in memory until the next start: " + reason}
	if err := d.Mount("tmpfs", d.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, memoryOptions); err != nil {
		r.State = fmt.Sprintf("missing: %s; and in memory: %v", reason, err)
	}
	return r
}
