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
	"strings"

	"golang.org/x/sys/unix"
)

// bootPartitionNumber is the number of the boot partition on every card that camctl writes.
const bootPartitionNumber = "1"

var errNoBootPartition = errors.New("no boot partition")

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

// findBootPartition returns the node below /dev, such as mmcblk0p1, of the boot partition on the
// disk that has the partition major:minor. sys is the file system that is mounted at /sys.
func findBootPartition(sys fs.FS, major, minor uint32) (string, error) {
	disk, err := findDisk(sys, major, minor)
	if err != nil {
		return "", err
	}
	entries, err := fs.ReadDir(sys, disk)
	if err != nil {
		return "", fmt.Errorf("disk of the root device %d:%d: %w", major, minor, err)
	}
	for _, e := range entries {
		number, err := fs.ReadFile(sys, path.Join(disk, e.Name(), "partition"))
		if err == nil && strings.TrimSpace(string(number)) == bootPartitionNumber {
			return deviceName(sys, path.Join(disk, e.Name()))
		}
	}
	return "", fmt.Errorf("%w: %s has no partition %s", errNoBootPartition, disk, bootPartitionNumber)
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
	return "", fmt.Errorf("%s: no DEVNAME: %w", dir, errors.Join(errNoBootPartition, lines.Err()))
}

// withBootPartition mounts the boot partition read-only, calls use with the folder and unmounts
// it. It must not stay mounted: an update writes to the raw partition.
func withBootPartition(use func(dir string) error) error {
	major, minor, err := rootDevice()
	if err != nil {
		return err
	}
	name, err := findBootPartition(os.DirFS("/sys"), major, minor)
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
	if err := unix.Mount("/dev/"+name, dir, "vfat", flags, "codepage=437,iocharset=ascii"); err != nil {
		return fmt.Errorf("mount /dev/%s: %w", name, err)
	}
	useErr := use(dir)
	if err := unix.Unmount(dir, 0); err != nil {
		return errors.Join(useErr, fmt.Errorf("unmount /dev/%s: %w", name, err))
	}
	return useErr
}
