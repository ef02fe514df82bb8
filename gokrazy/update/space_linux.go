package update

import (
	"fmt"
	"syscall"
)

// nonblock has open(2) not wait for a pipe's other end.
const nonblock = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

// freeBytes is what an ordinary user may still write to the file system of dir.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
