// What of an image cannot work together, in words for its owner. The same rules as in
// image's check.go, applied to what was read back.

package inspect

import (
	"fmt"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
)

func (r *Report) addProblem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// findProblems looks for what cannot work together.
func (r *Report) findProblems() {
	r.findPointerProblems()
	if id := card.PartitionID(card.Boot + 1); r.Partitions[card.Boot].ID != id {
		r.addProblem("the boot partition has the GUID %s, a command line names %s", r.Partitions[card.Boot].ID, id)
	}
	if len(r.seed) > 0 {
		if _, err := config.ParseSeed(r.defaults, card.SeedName, r.seed); err != nil {
			r.addProblem("the board will not take this seed: %v", err)
		}
	}
	b, err := board.ByName(r.Board)
	if err != nil {
		r.addProblem("%v", err)
		return
	}
	r.findLoaderProblems(b)
	for _, s := range r.Slots {
		if s.Board != "" && s.Board != r.Board {
			r.addProblem("slot %s is for board %s, the one that starts is for %s", s.Name, s.Board, r.Board)
		}
	}
}
