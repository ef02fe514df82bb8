//go:build unix

package bundle

import (
	"os"
	"syscall"
)

// giveToOwner lets the owner of the folder read what root writes there: the server is another user.
func giveToOwner(f *os.File, folder string) error {
	info, err := os.Stat(folder)
	if err != nil || os.Getuid() != 0 {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
