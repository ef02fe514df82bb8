//go:build !gokrazy

// What is different on a PC: see board_gokrazy.go.

package main

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
)

const (
	onBoard  = false
	stateDir = "" // the user's own, see defaultState

	benchFile = "" // `camsource bench --out` is there

	restartRequest = "" // nobody restarts a PC for a camera
	healthFile     = "" // and nobody judges an update by it

	statusFile = "" // a PC has no init of ours
	offerFile  = "" // nobody fetches updates for a PC: its packages are its system's
)

// modesFile is where the power takes it: in the folder that systemd makes for a service, or that of
// the user who is logged in; "" without both.
func modesFile() string {
	dir := cmp.Or(os.Getenv("RUNTIME_DIRECTORY"), os.Getenv("XDG_RUNTIME_DIR"))
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, "camsource-modes.json")
}

func console() io.Writer { return io.Discard }
