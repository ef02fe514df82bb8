// Video nodes, and the files by which a USB camera is reset: the kernel makes them root's,
// camsource is not root.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// watchVideoNodes gives the video nodes in dir to group, those that are there and,
// within milliseconds, each that appears, until ctx ends. The watch stands before
// the first look, so that none falls between the two. Each time share gives what else
// belongs to the cameras that are there: one that is plugged in again is another USB device
// with other files.
func watchVideoNodes(ctx context.Context, log *slog.Logger, dir string, group int, share func(group int) error) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify") // non-blocking: Go's poller waits, no thread does
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
		events.Close()
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	give := func() {
		if err := errors.Join(giveVideoNodes(dir, group), share(group)); err != nil {
			log.Error("video nodes", "error", err)
		}
	}
	give()
	context.AfterFunc(ctx, func() { events.Close() })
	go func() {
		// What the events say is not read: looking again is right whatever it was, and
		// also after an overflow of the queue.
		buf := make([]byte, 4096)
		for {
			if _, err := events.Read(buf); err != nil {
				if ctx.Err() == nil {
					log.Error("new video nodes stay root's", "error", err)
				}
				return
			}
			give()
		}
	}()
	return nil
}

// giveVideoNodes makes every video node in dir readable and writable for group. A
// node that vanishes meanwhile belongs to a camera that was pulled.
func giveVideoNodes(dir string, group int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "video") {
			continue
		}
		node := filepath.Join(dir, e.Name())
		err := os.Chown(node, -1, group)
		if err == nil {
			err = os.Chmod(node, 0o660)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
