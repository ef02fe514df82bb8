// The last remedy for a lost camera: camsource, which is not root, asks for a restart of the
// board by a file, and init decides.

package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/krazycam/krazycam/board"
)

const (
	// minRestartUptime is how long the board must have run. It limits restarts to one an hour
	// without any state that must survive them, even if an attacker controls camsource.
	minRestartUptime     = time.Hour
	restartCheckInterval = 10 * time.Second
)

// makeRequestFolder makes camsource's folder in memory. camweb reads the offer of an update there, by its
// name: it may pass through, and see nothing else.
func makeRequestFolder(path string) error {
	if err := makeOwnedFolder(path, board.SourceUser); err != nil {
		return err
	}
	return os.Chmod(path, 0o711)
}

// watchRestartRequest checks for a request of camsource until ctx ends or restart has granted it.
func watchRestartRequest(ctx context.Context, log *slog.Logger, restart func(context.Context) error) {
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
			if err := restart(ctx); err == nil {
				return
			} else {
				log.Error("restart refused", "error", err)
			}
		}
	}()
}

// isRestartDue says whether there is a request and the board has run long enough. The content of
// the file is not read: the process that wrote it is not trusted.
func isRestartDue(request string, up time.Duration) bool {
	info, err := os.Lstat(request)
	return err == nil && info.Mode().IsRegular() && up >= minRestartUptime
}
