// What Linux knows of a block device: what is mounted from it, whether it can be
// taken out. Sources: proc_pid_mountinfo(5), Documentation/ABI/stable/sysfs-block.

package flash

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// exclusive makes opening a block device fail with EBUSY while something of it is
// mounted or otherwise claimed: the kernel's own word beside our look.
const exclusive = unix.O_EXCL

// checkDevice looks at a block device before it is opened for writing.
func checkDevice(job Job) error {
	var target, image unix.Stat_t
	if err := unix.Stat(job.Target, &target); err != nil {
		return fmt.Errorf("%s: %w", job.Target, err)
	}
	if err := unix.Stat(job.Image, &image); err != nil {
		return fmt.Errorf("%s: %w", job.Image, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	return checkBlock(os.DirFS("/sys"), string(mounts), deviceNumber(uint64(target.Rdev)),
		deviceNumber(uint64(image.Dev)), job)
}

// deviceNumber is "major:minor".
func deviceNumber(n uint64) string { return fmt.Sprintf("%d:%d", unix.Major(n), unix.Minor(n)) }

// checkBlock decides with sys as /sys and mounts as mountinfo.
func checkBlock(sys fs.FS, mounts, device, holder string, job Job) error {
	whole, err := wholeDisk(sys, device)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, job.Target, err)
	}
	if whole != device {
		return fmt.Errorf("%w: %s is a partition, name the whole card", ErrNotACard, job.Target)
	}
	if d, err := wholeDisk(sys, holder); err == nil && d == whole {
		return fmt.Errorf("%w: %s holds the image itself", ErrInUse, job.Target)
	}
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if d, err := wholeDisk(sys, f[2]); err == nil && d == whole {
			return fmt.Errorf("%w: %s is mounted on %s: unmount it", ErrInUse, job.Target, f[4])
		}
	}
	folder, err := sysFolder(sys, device)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, job.Target, err)
	}
	removable, err := fs.ReadFile(sys, path.Join(folder, "removable"))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotACard, job.Target, err)
	}
	if strings.TrimSpace(string(removable)) != "1" && !inReader(sys, folder) && !job.Sure {
		return fmt.Errorf("%w: %s is built in: add --yes if you are sure that nothing on it is needed",
			ErrNotRemovable, job.Target)
	}
	return nil
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

// dropCache makes the next read come from the card.
func dropCache(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
