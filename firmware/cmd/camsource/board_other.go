//go:build !gokrazy

// What is different on a PC: see board_gokrazy.go.

package main

import "io"

const (
	onBoard  = false
	stateDir = "" // the user's own, see defaultState

	benchFile = "" // `camsource bench --out` is there

	restartRequest = "" // nobody restarts a PC for a camera
)

func console() io.Writer { return io.Discard }
