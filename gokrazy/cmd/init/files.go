// Files on /perm: written whole or not at all, so that a power cut leaves the old one.

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/board"
)

// sourceState is camsource's own folder; gokrazy makes it the home and working
// folder of the service of that name because it exists.
const sourceState = perm + "/camsource"

// replaceFile writes b to path with the given mode and group; the owner is who
// runs. On a card that loses power the file holds the old or the new bytes.
func replaceFile(path string, b []byte, mode os.FileMode, group int) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename; the error says so and is of no use
	if err := fill(f, b, mode, group); err != nil {
		return fmt.Errorf("write %d bytes for %s: %w", len(b), path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the renames in a folder last: ext4 would take up to 5 s, in which
// a board that is switched on to take its seed may well be switched off.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// fill writes, syncs and closes f.
func fill(f *os.File, b []byte, mode os.FileMode, group int) error {
	defer f.Close() // the second close after a good one does nothing
	if err := f.Chown(-1, group); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

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
