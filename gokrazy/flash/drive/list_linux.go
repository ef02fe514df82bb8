// Drives on Linux: /sys/block, what udev has found on them, and the mounts.
// Sources: Documentation/ABI/stable/sysfs-block, udev(7), proc_pid_mountinfo(5).

package drive

import (
	"context"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// sector is that of sysfs's sizes, whatever the device has.
const sector = 512

// List gives the drives that can be taken out and have a medium.
func List(context.Context) ([]Drive, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return listSys(os.DirFS("/sys"), os.DirFS("/run/udev/data"), string(mounts))
}

// listSys lists with sys as /sys and udev as the folder of udev's finds, which may be missing.
func listSys(sys, udev fs.FS, mounts string) ([]Drive, error) {
	entries, err := fs.ReadDir(sys, "block")
	if err != nil {
		return nil, err
	}
	var all []Drive
	for _, e := range entries {
		number := readLine(sys, path.Join("block", e.Name(), "dev"))
		if d, ok := driveOf(sys, udev, mounts, number); ok {
			d.Path = "/dev/" + strings.ReplaceAll(e.Name(), "!", "/")
			all = append(all, d)
		}
	}
	return all, nil
}

// driveOf describes the disk of a number; ok says whether it is one that a person may want to write.
func driveOf(sys, udev fs.FS, mounts, number string) (d Drive, ok bool) {
	folder, err := sysFolder(sys, number)
	if err != nil {
		return d, false
	}
	sectors, _ := strconv.ParseInt(readLine(sys, path.Join(folder, "size")), 10, 64)
	removable := readLine(sys, path.Join(folder, "removable")) == "1" || inReader(sys, folder)
	// Without a device there is no hardware: a loop device. SCSI's type 0 is a disk, 5 a CD.
	kind := readLine(sys, path.Join(folder, "device/type"))
	if _, err := fs.Stat(sys, path.Join(folder, "device")); err != nil || kind == "5" || !removable ||
		sectors <= 0 || readLine(sys, path.Join(folder, "ro")) == "1" {
		return d, false
	}
	d.Mounts = mountsOf(sys, mounts, number)
	if slices.ContainsFunc(d.Mounts, isSystem) {
		return d, false
	}
	d.Size = sectors * sector
	for _, file := range []string{"device/vendor", "device/model", "device/name"} {
		if text := readLine(sys, path.Join(folder, file)); text != "" {
			d.Name = strings.TrimSpace(d.Name + " " + text)
		}
	}
	d.Holds = holds(sys, udev, folder, number)
	return d, true
}

// holds says what udev has found on a disk and its partitions.
func holds(sys, udev fs.FS, folder, number string) (found []string) {
	numbers := []string{number}
	entries, _ := fs.ReadDir(sys, folder)
	for _, e := range entries {
		if _, err := fs.Stat(sys, path.Join(folder, e.Name(), "partition")); err == nil {
			numbers = append(numbers, readLine(sys, path.Join(folder, e.Name(), "dev")))
		}
	}
	for _, n := range numbers {
		b, err := fs.ReadFile(udev, "b"+n)
		if err != nil {
			continue
		}
		if text := udevText(string(b)); text != "" {
			found = append(found, text)
		}
	}
	return found
}

// udevText is type and label of the file system in a file of udev's.
func udevText(data string) string {
	var kind, label string
	for line := range strings.Lines(data) {
		line = strings.TrimSuffix(line, "\n")
		if value, ok := strings.CutPrefix(line, "E:ID_FS_TYPE="); ok {
			kind = value
		}
		if value, ok := strings.CutPrefix(line, "E:ID_FS_LABEL="); ok {
			label = value
		}
	}
	return strings.TrimSpace(kind + " " + label)
}

func readLine(sys fs.FS, name string) string {
	b, err := fs.ReadFile(sys, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
