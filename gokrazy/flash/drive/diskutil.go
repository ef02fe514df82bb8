// Drives on macOS, by what diskutil says of them: "diskutil list -plist physical" names them and what is on
// them, "diskutil info -plist DISK" describes one. Source: diskutil(8).

package drive

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A command runs a program of the system and gives what it prints.
type command func(ctx context.Context, name string, args ...string) ([]byte, error)

// diskName is a whole disk, as diskutil calls it.
var diskName = regexp.MustCompile(`^(?:/dev/)?r?(disk[0-9]+)$`)

// listDiskutil gives the drives that can be taken out.
func listDiskutil(ctx context.Context, run command) ([]Drive, error) {
	disks, err := diskutilDisks(ctx, run)
	if err != nil {
		return nil, err
	}
	var all []Drive
	for _, disk := range disks {
		d := Drive{Path: "/dev/" + member[string](disk, "DeviceIdentifier"), Size: member[int64](disk, "Size")}
		if !diskName.MatchString(d.Path) {
			continue
		}
		about, err := diskutilInfo(ctx, run, d.Path)
		if err != nil {
			return nil, err
		}
		if !isRemovableMac(about) || d.Size <= 0 {
			continue
		}
		d.Name = strings.TrimSpace(member[string](about, "MediaName"))
		volumes := member[[]any](disk, "Partitions")
		if len(volumes) == 0 {
			volumes = []any{disk} // a file system without partitions
		}
		for _, v := range volumes {
			holds := strings.TrimSpace(member[string](v, "Content") + " " + member[string](v, "VolumeName"))
			if holds != "" {
				d.Holds = append(d.Holds, holds)
			}
			if at := member[string](v, "MountPoint"); at != "" {
				d.Mounts = append(d.Mounts, at)
			}
		}
		if !slices.Contains(d.Mounts, "/") {
			all = append(all, d)
		}
	}
	return all, nil
}

func diskutilDisks(ctx context.Context, run command) ([]any, error) {
	b, err := run(ctx, "diskutil", "list", "-plist", "physical")
	if err != nil {
		return nil, fmt.Errorf("diskutil list: %w", err)
	}
	list, err := parsePlist(b)
	if err != nil {
		return nil, fmt.Errorf("diskutil list: %w", err)
	}
	return member[[]any](list, "AllDisksAndPartitions"), nil
}

func diskutilInfo(ctx context.Context, run command, disk string) (any, error) {
	b, err := run(ctx, "diskutil", "info", "-plist", disk)
	if err != nil {
		return nil, fmt.Errorf("diskutil info %s: %w", disk, err)
	}
	about, err := parsePlist(b)
	if err != nil {
		return nil, fmt.Errorf("diskutil info %s: %w", disk, err)
	}
	return about, nil
}

// isRemovableMac goes by the medium: an external disk is not one, a card in a built-in reader is.
func isRemovableMac(about any) bool {
	return member[bool](about, "RemovableMedia") || member[string](about, "BusProtocol") == "Secure Digital"
}

// checkDiskutil decides whether a disk may be written, and gives its size. system is what the root is on.
func checkDiskutil(ctx context.Context, run command, path string, sure bool) (size int64, err error) {
	about, err := diskutilInfo(ctx, run, path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotACard, err)
	}
	if !member[bool](about, "WholeDisk") {
		return 0, fmt.Errorf("%w: %s is a partition, name the whole card", ErrNotACard, path)
	}
	if kind := member[string](about, "VirtualOrPhysical"); kind == "Virtual" {
		return 0, fmt.Errorf("%w: %s is a part of another disk", ErrNotACard, path)
	}
	system, err := systemDisks(ctx, run)
	if err != nil {
		return 0, err
	}
	if slices.Contains(system, member[string](about, "DeviceIdentifier")) {
		return 0, fmt.Errorf("%w: %s: %w", ErrInUse, path, ErrSystem)
	}
	if writable, ok := about.(map[string]any)["WritableMedia"].(bool); ok && !writable {
		return 0, locked(path)
	}
	if !isRemovableMac(about) && !sure {
		return 0, notRemovable(path)
	}
	return sizeMac(about), nil
}

func sizeMac(about any) int64 {
	if size := member[int64](about, "TotalSize"); size != 0 {
		return size
	}
	return member[int64](about, "Size")
}

// sliceEnding is what makes a partition's name of a disk's.
var sliceEnding = regexp.MustCompile(`s[0-9]+(?:s[0-9]+)*$`)

// systemDisks are the disks that the root is on. APFS lays a disk of its own over the real ones: one whose
// real ones are not said is no answer.
func systemDisks(ctx context.Context, run command) ([]string, error) {
	root, err := diskutilInfo(ctx, run, "/")
	if err != nil {
		return nil, err
	}
	parent := member[string](root, "ParentWholeDisk")
	if stores := member[[]any](root, "APFSPhysicalStores"); len(stores) > 0 {
		disks := []string{parent}
		for _, store := range stores {
			name := sliceEnding.ReplaceAllString(member[string](store, "APFSPhysicalStore"), "")
			if !diskName.MatchString(name) {
				return nil, errSystemDisk
			}
			disks = append(disks, name)
		}
		return disks, nil
	}
	if !diskName.MatchString(parent) || member[string](root, "VirtualOrPhysical") == "Virtual" {
		return nil, errSystemDisk
	}
	disk, err := diskutilInfo(ctx, run, "/dev/"+parent)
	if err != nil {
		return nil, err
	}
	if member[string](disk, "VirtualOrPhysical") == "Virtual" {
		return nil, errSystemDisk
	}
	return []string{parent}, nil
}

var errSystemDisk = errors.New("diskutil info /: it does not say which disk the system runs from")
