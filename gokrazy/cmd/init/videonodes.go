// Video nodes, and the files with which a USB camera is reset, belong to root; camsource is not
// root. init gives them to camsource's group.

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

// watchVideoNodes gives the video nodes in dir to group: those that exist and, within
// milliseconds, every new one, until ctx ends. The watch begins before the first listing, so
// that no node is missed between the two. Each time it calls share, which gives away the other
// files of the cameras: a camera that is plugged in again is a new USB device with new files.
func watchVideoNodes(ctx context.Context, log *slog.Logger, dir string, group int,
	share func(group int) error) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify") // non-blocking: Go's poller waits, no thread does
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
		events.Close()
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	giveAll := func() {
		if err := errors.Join(giveVideoNodes(dir, group), share(group)); err != nil {
			log.Error("video nodes", "error", err)
		}
	}
	giveAll()
	context.AfterFunc(ctx, func() { events.Close() })
	go func() {
		// The events are not parsed: a new listing is right after any event, and also after an
		// overflow of the queue.
		buf := make([]byte, 4096)
		for {
			if _, err := events.Read(buf); err != nil {
				if ctx.Err() == nil {
					log.Error("new video nodes stay root's", "error", err)
				}
				return
			}
			giveAll()
		}
	}()
	return nil
}

// giveVideoNodes makes every video node in dir readable and writable for group. A node that
// vanishes meanwhile belongs to a camera that was unplugged.
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
