// What camweb does as root, and how it stops being root.

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/gokrazy/privileges"
)

// niceness is low: a push or a guesser must not cost the stream a picture.
const niceness = 10

// openAsRoot makes the folders that are camweb's own, and opens the port.
func openAsRoot(o options, at places) (net.Listener, error) {
	for _, folder := range []string{at.ownFolder, at.spool} {
		if err := makeFolder(folder); err != nil {
			// It serves all the same: a status says more than silence.
			fmt.Fprintln(os.Stderr, "camweb: own folder:", err)
		}
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// makeFolder makes a folder and gives it, but nothing in it, to camweb's user.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chown(board.WebUser, board.WebUser), f.Chmod(0o700), f.Close())
}

// giveUpRoot leaves no capability. Then the kernel refuses the calls that a program which was taken
// over would want next; one that cannot is no reason not to serve.
func giveUpRoot(log *slog.Logger) error {
	if err := machine.Renice(niceness); err != nil {
		log.Warn("camweb runs at the stream's own priority", "error", err)
	}
	if err := idleDisk(); err != nil {
		log.Warn("camweb writes at the stream's own priority", "error", err)
	}
	if err := privileges.Drop(board.WebUser); err != nil {
		return fmt.Errorf("give up root: %w", err)
	}
	if err := machine.RefuseCalls(); err != nil {
		log.Warn("dangerous calls of the kernel stay allowed", "error", err)
	}
	return nil
}

// idleDisk has the threads of this process use a disk when nobody else does. Source: ioprio_set(2),
// IOPRIO_CLASS_IDLE; an I/O scheduler that knows no classes ignores it.
func idleDisk() error {
	const whoProcess, idle = 1, 3 << 13
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_IOPRIO_SET, whoProcess, 0, idle); errno != 0 {
		return fmt.Errorf("ioprio_set: %w", errno)
	}
	return nil
}

// console is where the fingerprint must be seen: gokrazy keeps a service's output in memory. It is
// opened to block, so that lines of several programs do not mix.
func console(root string) io.Writer {
	if root != "" {
		return io.Discard
	}
	fd, err := syscall.Open("/dev/console", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return io.Discard
	}
	return os.NewFile(uintptr(fd), "/dev/console")
}

// openSpool opens the spool's folder, for a flush.
func (s *service) openSpool() (*os.File, error) { return os.Open(s.at.spool) }
