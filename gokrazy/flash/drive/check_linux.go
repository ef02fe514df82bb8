// What Linux knows of a block device: what is mounted from it, whether it can be
// taken out. Sources: proc_pid_mountinfo(5), Documentation/ABI/stable/sysfs-block.

package drive

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// checkDevice looks at a block device before it is opened for writing.
func checkDevice(path string, image *os.File, sure bool) error {
	var target, own unix.Stat_t
	if err := unix.Stat(path, &target); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := unix.Fstat(int(image.Fd()), &own); err != nil {
		return fmt.Errorf("%s: %w", image.Name(), err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	err = checkBlock(os.DirFS("/sys"), string(mounts), deviceNumber(uint64(target.Rdev)),
		deviceNumber(uint64(own.Dev)), path, sure)
	if err != nil {
		return err
	}
	return mayWrite(path)
}

// deviceNumber is "major:minor".
func deviceNumber(n uint64) string { return fmt.Sprintf("%d:%d", unix.Major(n), unix.Minor(n)) }

// checkBlock decides with sys as /sys and mounts as mountinfo.
func checkBlock(sys fs.FS, mounts, device, holder, name string, sure bool) error {
	whole, err := wholeDisk(sys, device)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, name, err)
	}
	if whole != device {
		return fmt.Errorf("%w: %s is a partition, name the whole card", ErrNotACard, name)
	}
	at := mountsOf(sys, mounts, whole)
	if slices.ContainsFunc(at, isSystem) {
		return fmt.Errorf("%w: %s: %w", ErrInUse, name, ErrSystem)
	}
	if d, err := wholeDisk(sys, holder); err == nil && d == whole {
		return fmt.Errorf("%w: %s holds the image itself", ErrInUse, name)
	}
	if len(at) > 0 {
		return fmt.Errorf("%w: %s is mounted on %s: unmount it: umount %s", ErrInUse, name,
			strings.Join(at, ", "), quoted(at))
	}
	folder, err := sysFolder(sys, device)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, name, err)
	}
	if holders, err := fs.ReadDir(sys, path.Join(folder, "holders")); err == nil && len(holders) > 0 {
		return fmt.Errorf("%w: %s is part of %s", ErrInUse, name, holders[0].Name())
	}
	removable, err := fs.ReadFile(sys, path.Join(folder, "removable"))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, name, err)
	}
	if strings.TrimSpace(string(removable)) != "1" && !inReader(sys, folder) && !sure {
		return notRemovable(name)
	}
	if readLine(sys, path.Join(folder, "ro")) == "1" {
		return locked(name)
	}
	return nil
}

// mountsOf lists where something of a disk is mounted.
func mountsOf(sys fs.FS, mounts, disk string) (at []string) {
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if d, err := wholeDisk(sys, f[2]); err == nil && d == disk {
			at = append(at, unescape(f[4]))
		}
	}
	return at
}

// isSystem says whether a folder is one that a system runs from. Desktops and persons open cards deeper below
// /home and /var.
func isSystem(folder string) bool {
	parts := strings.Split(strings.Trim(folder, "/"), "/")
	switch parts[0] {
	case "", "boot", "usr", "etc", "nix":
		return true
	case "home":
		return len(parts) <= 2 // that of a user
	case "var":
		return len(parts) == 1 || len(parts) == 2 && (parts[1] == "lib" || parts[1] == "log")
	}
	return false
}

// quoted are arguments for a shell.
func quoted(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = n
		if strings.ContainsAny(n, " '\"\\$&;()<>|*?\t\n") {
			all[i] = "'" + strings.ReplaceAll(n, "'", `'\''`) + "'"
		}
	}
	return strings.Join(all, " ")
}

// unescape undoes what mountinfo does to blanks, tabs, newlines and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// inReader reports whether the device is a card in a built-in reader, which is not
// "removable". The same kernel driver has the soldered eMMC of laptops and boards;
// only the type beside the device, two folders up, tells them apart.
func inReader(sys fs.FS, folder string) bool {
	kind, err := fs.ReadFile(sys, path.Join(folder, "../../type"))
	return err == nil && strings.Contains(folder, "/mmc_host/") && strings.TrimSpace(string(kind)) == "SD"
}

// sysFolder gives the folder of a block device below sys.
func sysFolder(sys fs.FS, device string) (string, error) {
	link := path.Join("dev/block", device)
	target, err := fs.ReadLink(sys, link)
	if err != nil {
		return "", err
	}
	return path.Join(path.Dir(link), target), nil
}

// wholeDisk gives the disk of a partition, and of a disk itself.
func wholeDisk(sys fs.FS, device string) (string, error) {
	folder, err := sysFolder(sys, device)
	if err != nil {
		return "", err
	}
	if _, err := fs.Stat(sys, path.Join(folder, "partition")); err != nil {
		return device, nil
	}
	b, err := fs.ReadFile(sys, path.Join(path.Dir(folder), "dev"))
	return strings.TrimSpace(string(b)), err
}
