// What an unprivileged camsource needs of the file system: a folder of its own on /perm, and
// leave to send echo requests.

package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/krazycam/krazycam/board"
)

// sourceState is camsource's own folder; gokrazy makes it the home and working
// folder of the service of that name because it exists.
const sourceState = perm + "/camsource"

// preparePerm gives camsource, which drops its rights, the folder it may write to.
func preparePerm(log *slog.Logger) {
	if err := ownFolder(sourceState, board.SourceUser); err != nil {
		log.Error("camsource cannot keep its state", "error", err)
	}
}

// allowEchoes lets camsource, and nobody else, ask hosts for echoes (icmp(7)).
func allowEchoes(log *slog.Logger) {
	group := fmt.Sprintf("%d %d", board.SourceUser, board.SourceUser)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte(group), 0); err != nil {
		log.Error("camsource cannot see a queue on the way by echo requests", "error", err)
	}
}

// ownFolder makes path if it is missing and user its only owner.
func ownFolder(path string, user int) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := os.Chown(path, user, user); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}
