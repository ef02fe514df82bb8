// The last rung of a camera's rescue: camsource, which is not root, wishes for a restart of
// the board by a file, and init decides.

package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
)

const (
	// leastUptime is how long the board must have run. Since nothing about it has to be
	// remembered across a restart, that makes them one an hour at most, whatever a
	// camsource in foreign hands wishes for.
	leastUptime = time.Hour
	wishLook    = 10 * time.Second
)

// watchRestartWish makes the folder in which camsource may leave its wish and looks for it
// until ctx ends.
func watchRestartWish(ctx context.Context, log *slog.Logger) {
	if err := ownFolder(filepath.Dir(board.RestartRequest), board.SourceUser); err != nil {
		log.Error("camsource cannot wish for a restart", "error", err)
		return
	}
	go func() {
		tick := time.NewTicker(wishLook)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !restartDue(board.RestartRequest, uptime()) {
				continue
			}
			log.Error("the camera does not come back: restarting the board")
			if err := restart(); err != nil {
				log.Error("restart", "error", err)
			}
			return
		}
	}()
}

// restartDue tells whether somebody wishes for a restart and the board has run long enough.
// What the file holds is not read: it comes from a process that is trusted with nothing.
func restartDue(wish string, up time.Duration) bool {
	info, err := os.Lstat(wish)
	return err == nil && info.Mode().IsRegular() && up >= leastUptime
}

// restart asks gokrazy, whose handler ends the services, unmounts /perm and restarts
// (signals.go there): a stream is stopped at the gateway before the board goes down.
func restart() error { return unix.Kill(os.Getpid(), unix.SIGTERM) }
