package flash

import (
	"os"

	"golang.org/x/sys/windows"
)

// temporary makes a file that takes no room where it is not written, as far as the file system can do
// that. Windows removes no file that is open: removeTemporary does it at the end.
func temporary() (*os.File, error) {
	f, err := os.CreateTemp("", "krazycam-*.img")
	if err != nil {
		return nil, err
	}
	var n uint32
	_ = windows.DeviceIoControl(windows.Handle(f.Fd()), windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &n, nil)
	return f, nil
}

// removeTemporary removes the file, which was closed.
func removeTemporary(f *os.File) error { return os.Remove(f.Name()) }
