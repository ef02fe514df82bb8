// The way into the root, and what to do if there is none.
// Spec: mount(2), chroot(2), reboot(2); switch_root(8) takes the same steps.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
)

const (
	rootFolder = "/root"
	// readingTime is how long a message stands before the board starts again.
	readingTime = 10 * time.Second
)

// kernelMounts move into the root with us.
var kernelMounts = []struct{ kind, at string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}}

// mountRoot mounts the root read-only, as the kernel would.
func mountRoot(node string) error {
	if err := unix.Mount(node, rootFolder, "squashfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s as squashfs: %w", node, err)
	}
	return nil
}

// enter makes the mounted root / and becomes its init, which learns from the
// environment which process still loads modules.
func enter(init string, loader int) error {
	for _, m := range kernelMounts {
		if err := unix.Mount(m.at, rootFolder+m.at, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s into the root: %w", m.at, err)
		}
	}
	if err := unix.Chdir(rootFolder); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	env := append(os.Environ(), board.ModuleLoader+"="+strconv.Itoa(loader))
	if err := unix.Exec(init, []string{init}, env); err != nil {
		return fmt.Errorf("start %s of the root: %w", init, err)
	}
	return nil
}

// complain says on the console why the board does not start.
func complain(console io.Writer, cause error, rest time.Duration) {
	fmt.Fprintf(console, "\npreinit: THIS BOARD DOES NOT START: %v\n"+
		"preinit: is the card in, and flashed with a krazycam image? Starting again in %v\n",
		cause, rest.Round(time.Second))
}

// giveUp starts the board again: the card may only have a bad contact, and a root on
// trial has lost its turn by then.
func giveUp(console io.Writer, cause error) {
	if !errors.Is(cause, errNoRoot) { // else it stands there already
		complain(console, cause, readingTime)
		time.Sleep(readingTime)
	}
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	// Process 1 ends now, and the kernel starts again by itself: panic= says when.
	fmt.Fprintf(console, "preinit: reboot: %v\n", err)
}
