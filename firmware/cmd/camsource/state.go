// The folder in which the gateway's utilization id survives.

package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/board"
)

// defaultState is where the utilization id survives: on a board the folder that init made,
// on a PC the one that systemd made for a service, the user's own (XDG base directories), or
// nowhere. Root's own folders would be shut to the user that root becomes: a system's service
// has one in /var/lib.
func defaultState() string {
	service, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":") // systemd.exec(5)
	switch d := os.Getenv("XDG_STATE_HOME"); {
	case onBoard:
		return stateDir
	case filepath.IsAbs(service):
		return service
	case os.Geteuid() == 0:
		return "/var/lib/camsource"
	case filepath.IsAbs(d):
		return filepath.Join(d, "camsource")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "camsource")
}

// makeState makes the folder, if there is none, for the user that root becomes. One that
// is there belongs to somebody.
func makeState(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil || os.Geteuid() != 0 {
		return err
	}
	return os.Chown(dir, board.SourceUser, board.SourceUser)
}
