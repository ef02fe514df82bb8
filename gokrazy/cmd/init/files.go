// What an unprivileged camsource needs of the file system: a folder of its own on /perm, one in
// memory, and leave to send echo requests.

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/board"
)

// sourceStateFolder is camsource's own folder; because it exists, gokrazy makes it the home and
// working folder of the service of that name.
const sourceStateFolder = permFolder + "/camsource"

// prepareState gives camsource, which is not root, folders to write to. It must come before camsource
// starts: its report of health is looked for at once.
func prepareState(log *slog.Logger) {
	if err := makeOwnedFolder(sourceStateFolder, board.SourceUser); err != nil {
		log.Error("camsource cannot keep its state", "error", err)
	}
	if err := makeRequestFolder(filepath.Dir(board.RestartRequest)); err != nil {
		log.Error("camsource can neither report nor ask for a restart", "error", err)
	}
}

// allowEchoes lets camsource, and no other user, send ICMP echo requests (icmp(7)).
func allowEchoes(log *slog.Logger) {
	group := fmt.Sprintf("%d %d", board.SourceUser, board.SourceUser)
	if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte(group), 0); err != nil {
		log.Error("camsource cannot see a queue on the way by echo requests", "error", err)
	}
}

// makeOwnedFolder makes path, unless it exists, and gives it to user alone.
func makeOwnedFolder(path string, user int) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := os.Chown(path, user, user); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}
