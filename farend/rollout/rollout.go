// Package rollout brings updates to many boards that fetch them: it decides which board is offered which
// update, serves the files, and keeps what became of each board.
//
// It stands behind a gateway, which asks it with every start_stream and validate_stream. It believes what
// boards say of themselves, and grants nothing by it: a board fetches what it is offered, and checks that
// itself. Offers go to a share of the boards first, always the same ones; they end once so many boards
// fell back. The path by which a board fetches says which board it is.
//
// Offers are in a database, which several servers may share: counts and stops are right across them.
//
// It owns no goroutine; the database is bounded by how many boards one offer may have. Time is passed in.
//
// Source: docs/gateway.md, the members board and update.
package rollout

import (
	"crypto/sha256"
	"encoding/binary"
)

// Update is what is offered, as its manifest has it.
type Update struct {
	Version string `json:"version"`
	Board   string `json:"board"` // rpi, bbb
	Index   int64  `json:"index"`
}

// A Phase is how far one board is.
type Phase string

// The phases, in their order.
const (
	Offered   Phase = "offered"
	Fetching  Phase = "fetching"
	OnTrial   Phase = "on trial"
	NotJudged Phase = "not judged" // it went back without a verdict; it tries again by itself, three times in all
	Promoted  Phase = "promoted"
	FellBack  Phase = "fell back"
)

// inShare chooses by a hash of the serial number alone: the same boards each time, and with a larger
// share the same ones and more.
func inShare(serial string, share float64) bool {
	if share >= 1 {
		return true
	}
	sum := sha256.Sum256([]byte("krazycam rollout " + serial))
	return float64(binary.BigEndian.Uint64(sum[:8])) < share*(1<<64)
}
