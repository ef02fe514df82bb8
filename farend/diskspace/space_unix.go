//go:build unix

package diskspace

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Of asks for the file system of path, which must exist.
func Of(path string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	block := uint64(s.Bsize)
	return Space{Free: uint64(s.Bavail) * block, Size: s.Blocks * block}, nil
}
