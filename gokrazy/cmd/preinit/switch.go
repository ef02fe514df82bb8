// Enters the root, or restarts the board if there is none.
// Sources: mount(2), chroot(2), reboot(2); switch_root(8) takes the same steps.

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
	// messageTime is how long a message can be read before the board restarts.
	messageTime = 10 * time.Second
)

// kernelMounts move into the root, too.
var kernelMounts = []struct{ kind, at string }{
	{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"},
}

// mountRoot mounts the root read-only, as the kernel does on other boards.
func mountRoot(node string) error {
	if err := unix.Mount(node, rootFolder, "squashfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s as squashfs: %w", node, err)
	}
	return nil
}

// enterRoot makes the mounted root / and becomes its init, to which the environment says which
// process still loads modules.
func enterRoot(init string, loader int) error {
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

// reportFailure says on the console why the board does not start.
func reportFailure(console io.Writer, cause error, rest time.Duration) {
	fmt.Fprintf(console, "\npreinit: THIS BOARD DOES NOT START: %v\n"+
		"preinit: is the card in, and flashed with a krazycam image? Starting again in %v\n",
		cause, rest.Round(time.Second))
}

// restartBoard restarts the board: perhaps the card only has a bad contact, and after a restart
// the previous root boots instead of one on trial.
func restartBoard(console io.Writer, cause error) {
	if !errors.Is(cause, errNoRoot) { // waitForRoot has reported that already
		reportFailure(console, cause, messageTime)
		time.Sleep(messageTime)
	}
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	// Process 1 ends now, and the kernel panics and restarts: panic= says when.
	fmt.Fprintf(console, "preinit: reboot: %v\n", err)
}
