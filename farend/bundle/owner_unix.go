//go:build unix

package bundle

import (
	"os"
	"syscall"
)

// giveToOwner lets the owner of a folder read what root makes for it: the server is another user.
func giveToOwner(path, folder string) error {
	info, err := os.Stat(folder)
	if err != nil || os.Getuid() != 0 {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}
