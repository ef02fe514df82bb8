// The boot partition: found on the disk of /, mounted read-only.
// Source: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-block

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/card"
)

var errNoPartition = errors.New("no such partition")

// rootDevice returns the major and minor number of the device of /.
//
// The kernel command line names the root, too, but only the mounted root is certainly on our
// card: during a trial the two differ, and a second card in a reader can have the same
// partition GUIDs.
func rootDevice() (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Stat("/", &st); err != nil {
		return 0, 0, fmt.Errorf("stat /: %w", err)
	}
	return unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), nil
}

// findPartition returns the node below /dev, such as mmcblk0p1, of partition number on the disk that
// has the partition major:minor. sys is the file system that is mounted at /sys.
func findPartition(sys fs.FS, major, minor uint32, number int) (string, error) {
	disk, err := findDisk(sys, major, minor)
	if err != nil {
		return "", err
	}
	entries, err := fs.ReadDir(sys, disk)
	if err != nil {
		return "", fmt.Errorf("disk of the root device %d:%d: %w", major, minor, err)
	}
	for _, e := range entries {
		b, err := fs.ReadFile(sys, path.Join(disk, e.Name(), "partition"))
		if err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(number) {
			return deviceName(sys, path.Join(disk, e.Name()))
		}
	}
	return "", fmt.Errorf("%w: %s has no partition %d", errNoPartition, disk, number)
}

// partitionNode gives the device of a partition of the card that / is on.
func partitionNode(number int) (string, error) {
	major, minor, err := rootDevice()
	if err != nil {
		return "", err
	}
	name, err := findPartition(os.DirFS("/sys"), major, minor, number)
	if err != nil {
		return "", err
	}
	return "/dev/" + name, nil
}

// deviceName reads DEVNAME from the uevent file of the device at dir.
func deviceName(sys fs.FS, dir string) (string, error) {
	f, err := sys.Open(path.Join(dir, "uevent"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "DEVNAME="); ok && name != "" {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: no DEVNAME: %w", dir, errors.Join(errNoPartition, lines.Err()))
}

// withBootPartition mounts the boot partition read-only, calls use with the folder and unmounts
// it. It must not stay mounted: an update writes to the raw partition.
func withBootPartition(use func(dir string) error) error {
	node, err := partitionNode(card.Boot + 1)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "boot-")
	if err != nil {
		return err
	}
	defer os.Remove(dir) // if it fails: /tmp is in memory and gone at the next start
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// The character sets are named because the kernel's default, iso8859-1, is not in it.
	if err := unix.Mount(node, dir, "vfat", flags, "codepage=437,iocharset=ascii"); err != nil {
		return fmt.Errorf("mount %s: %w", node, err)
	}
	useErr := use(dir)
	if err := unmount(dir, unix.Unmount, func() { time.Sleep(busyPause) }); err != nil {
		return errors.Join(useErr, fmt.Errorf("unmount %s: %w", node, err))
	}
	return useErr
}

// For how long an unmount waits: 10 s.
const (
	busyPause = 20 * time.Millisecond
	busyTries = 500
)

// unmount takes a file system away once nobody uses it. A service that is being started has copies of
// process 1's open files, those on this file system among them, until its program runs: on a busy board
// for a moment too long for one try. What stays in use is gone with its last user; were it left mounted,
// no slot could be written or promoted until the board's restart.
func unmount(dir string, call func(dir string, flags int) error, pause func()) error {
	for range busyTries {
		if err := call(dir, 0); !errors.Is(err, unix.EBUSY) {
			return err
		}
		pause()
	}
	return errors.Join(fmt.Errorf("in use for more than %v: %w", busyTries*busyPause, unix.EBUSY),
		call(dir, unix.MNT_DETACH))
}
