// Gives up root: camsource parses JPEG and RTCP from outside, which no root process should do.

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// dropPrivileges makes a process that runs as root user and group
// board.SourceUser, with board.VideoGroup as its only other group: enough to
// open the camera again after it was unplugged, and to reset it where it is plugged in
// now. Anybody else stays who he is.
//
// Then the kernel refuses calls that a stream has no use for, whoever camsource is; a kernel that
// cannot is no reason not to stream. That no right comes back is encoder/nogain's.
func dropPrivileges(log *slog.Logger) error {
	if err := becomeSourceUser(); err != nil {
		return err
	}
	if err := machine.RefuseCalls(); err != nil {
		log.Warn("dangerous calls of the kernel stay allowed", "error", err)
	}
	return nil
}

// becomeSourceUser gives up root. The standard library changes all threads, those of cgo too
// (syscall.Setuid, Go 1.16).
func becomeSourceUser() error {
	if os.Geteuid() != 0 {
		return nil
	}
	_ = usb.ShareCameras(board.VideoGroup) // else one way less to wake a camera that hangs
	if err := syscall.Setgroups([]int{board.VideoGroup}); err != nil {
		return fmt.Errorf("give up root: setgroups: %w", err)
	}
	if err := syscall.Setgid(board.SourceUser); err != nil {
		return fmt.Errorf("give up root: setgid: %w", err)
	}
	if err := syscall.Setuid(board.SourceUser); err != nil {
		return fmt.Errorf("give up root: setuid: %w", err)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("give up root: the kernel gave it back")
	}
	return nil
}
