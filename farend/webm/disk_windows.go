package webm

import "golang.org/x/sys/windows"

// diskOf is what the system says of the disk that holds a folder. Source: GetDiskFreeSpaceEx.
func diskOf(dir string) (free, size int64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var available, total uint64
	if err := windows.GetDiskFreeSpaceEx(name, &available, &total, nil); err != nil {
		return 0, 0, err
	}
	return int64(available), int64(total), nil
}
