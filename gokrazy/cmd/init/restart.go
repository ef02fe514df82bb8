// The last remedy for a lost camera: camsource, which is not root, asks for a restart of the
// board by a file, and init decides.

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
	// minRestartUptime is how long the board must have run. It limits restarts to one an hour
	// without any state that must survive them, even if an attacker controls camsource.
	minRestartUptime     = time.Hour
	restartCheckInterval = 10 * time.Second
)

// watchRestartRequest makes the folder in which camsource may put its request, and checks for
// the request until ctx ends.
func watchRestartRequest(ctx context.Context, log *slog.Logger) {
	if err := makeOwnedFolder(filepath.Dir(board.RestartRequest), board.SourceUser); err != nil {
		log.Error("camsource cannot ask for a restart", "error", err)
		return
	}
	go func() {
		tick := time.NewTicker(restartCheckInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !isRestartDue(board.RestartRequest, uptime()) {
				continue
			}
			log.Error("the camera does not come back: restarting the board")
			if err := restartBoard(); err != nil {
				log.Error("restart", "error", err)
			}
			return
		}
	}()
}

// isRestartDue says whether there is a request and the board has run long enough. The content of
// the file is not read: the process that wrote it is not trusted.
func isRestartDue(request string, up time.Duration) bool {
	info, err := os.Lstat(request)
	return err == nil && info.Mode().IsRegular() && up >= minRestartUptime
}

// restartBoard asks gokrazy, whose signal handler ends the services, unmounts /perm and restarts
// (signals.go there): so camsource stops its stream at the gateway before the restart.
func restartBoard() error { return unix.Kill(os.Getpid(), unix.SIGTERM) }
