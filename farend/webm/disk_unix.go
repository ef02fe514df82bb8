//go:build unix

package webm

import "golang.org/x/sys/unix"

// diskOf is what the system says of the disk that holds a folder. Source: statfs(2).
func diskOf(dir string) (free, size int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), nil
}
