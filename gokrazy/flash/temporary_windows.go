package flash

import (
	"os"

	"golang.org/x/sys/windows"
)

// temporary makes a file that is gone when it is closed, however the process ends. It takes no room where it
// is not written, as far as the file system can do that.
// Source: Microsoft's reference of CreateFile, FILE_FLAG_DELETE_ON_CLOSE.
func temporary() (*os.File, error) {
	named, err := os.CreateTemp("", "krazycam-*.img")
	if err != nil {
		return nil, err
	}
	if err := named.Close(); err != nil {
		return nil, err
	}
	path, err := windows.UTF16PtrFromString(named.Name())
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(path, windows.GENERIC_READ|windows.GENERIC_WRITE|windows.DELETE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING,
		windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: named.Name(), Err: err}
	}
	var n uint32
	_ = windows.DeviceIoControl(h, windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
	return os.NewFile(uintptr(h), named.Name()), nil
}
