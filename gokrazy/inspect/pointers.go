// Which slot starts, by each of the places that say so.

package inspect

import (
	"io"
	"io/fs"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// Pointers is what the places on a card say; "" where there is no such place, or it says nothing.
type Pointers struct {
	Config  slot.Name `json:"config"`  // config.txt: what a Pi 4 or 5 starts
	Tryboot slot.Name `json:"tryboot"` // tryboot.txt: what it starts on trial
	UBoot   slot.Name `json:"uboot"`   // the state sector: what every other model starts
	Try     slot.Name `json:"try"`     // the same: what is to be tried at the next start
}

// readOnly lets slot.Open look at a disk that is not to be changed.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
func (readOnly) Sync() error                        { return fs.ErrPermission }

// addPointers reads all places. A place that is damaged is a problem.
func (r *Report) addPointers(d io.ReaderAt, size int64) {
	c, err := slot.Open(readOnly{d}, size)
	if err != nil {
		r.addProblem("which slot starts cannot be read: %v", err)
		return
	}
	p := c.Pointers()
	r.Pointers = Pointers{Config: p.Firmware, Tryboot: p.Tryboot, UBoot: p.UBoot, Try: p.Try}
	for _, err := range p.Damaged {
		r.addProblem("%v", err)
	}
	if err := c.CheckSwitch(); err != nil && len(p.Damaged) == 0 {
		r.addProblem("no update can switch the slot: %v", err)
	}
}

// promoted is the slot that starts by the place that the boards of this image go by first.
func (r *Report) promoted() slot.Name {
	if r.Loader == board.PiFirmware {
		return r.Pointers.Config
	}
	return r.Pointers.UBoot
}

// findPointerProblems looks for places that name a slot which would not start.
func (r *Report) findPointerProblems() {
	for _, place := range []struct {
		what string
		slot slot.Name
	}{
		{card.ConfigName + " starts", r.Pointers.Config},
		{"U-Boot's sector starts", r.Pointers.UBoot},
		{"U-Boot's sector tries", r.Pointers.Try},
	} {
		for _, s := range r.Slots {
			switch {
			case s.Name != place.slot:
			case s.Empty:
				r.addProblem("%s slot %s, which is empty", place.what, s.Name)
			case len(s.Faults) > 0:
				r.addProblem("%s slot %s, which is not whole", place.what, s.Name)
			}
		}
	}
	for _, s := range r.Slots {
		named := s.Name == r.Pointers.Config || s.Name == r.Pointers.UBoot || s.Name == r.Pointers.Try
		for _, fault := range s.Faults {
			if named { // what nothing names may be half of an update
				r.addProblem("slot %s: %s", s.Name, fault)
			}
		}
	}
	if r.promoted() == slot.None {
		r.addProblem("nothing says which slot starts")
	}
}
