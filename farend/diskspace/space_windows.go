package diskspace

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Of asks for the file system of path, which must be a folder.
func Of(path string) (Space, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	var s Space
	if err := windows.GetDiskFreeSpaceEx(name, &s.Free, &s.Size, nil); err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	return s, nil
}
