// What of an image cannot work together, in words for its owner. The same rules as in
// image's check.go, applied to what was read back.

package inspect

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image"
)

func (r *Report) addProblem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// rootArgument is the GUID that the root is counted from, and the distance.
var rootArgument = regexp.MustCompile(`\broot=PARTUUID=([0-9a-f-]+)/PARTNROFF=([12])\b`)

// findProblems looks for what cannot work together.
func (r *Report) findProblems() {
	if m := rootArgument.FindStringSubmatch(r.Cmdline); m == nil || m[1] != r.Partitions[card.Boot].ID {
		r.addProblem("the command line names no root of this image")
	}
	if len(r.seed) > 0 {
		if _, err := config.ParseSeed(r.defaults, card.SeedName, r.seed); err != nil {
			r.addProblem("the board will not take this seed: %v", err)
		}
	}
	b, err := board.ByName(r.Board)
	if err != nil {
		r.addProblem("%v", err)
	}
	if err == nil {
		r.findLoaderProblems(b)
	}
	for _, slot := range r.Slots {
		if slot.Active && slot.Empty {
			r.addProblem("root %s is empty, and the command line names it", slot.Name)
		}
		inInitrd := err == nil && len(b.Modules) == 0 && len(slot.Modules) == 0
		if !slot.Empty && !inInitrd && strings.Join(slot.Modules, " ") != r.Kernel {
			r.addProblem("root %s has modules for kernel %q, the kernel is %s", slot.Name, slot.Modules, r.Kernel)
		}
		if err == nil && !slot.Empty {
			r.findProgramProblems(b, slot)
		}
	}
}

func (r *Report) findProgramProblems(b board.Board, slot Slot) {
	for _, want := range card.RootPrograms() {
		found := false
		for _, p := range slot.Programs {
			if p.Path != want.Path {
				continue
			}
			found = true
			if err := image.CheckProgram(b, p, want.Cgo); err != nil {
				r.addProblem("root %s: %s: %v", slot.Name, p.Path, err)
			}
		}
		if !found {
			r.addProblem("root %s: %s is missing", slot.Name, want.Path)
		}
	}
}
