// The sector in which boot.scr finds which slot it starts, as text for `env import -t`. Two
// programs write it: ours, which fills it up with newlines, and boot.scr by `env export`, which
// fills it up with zeros.
// Spec: U-Boot's lib/hashtable.c, himport_r and hexport_r.

package uboot

import (
	"errors"
	"fmt"
	"strings"
)

// StateSize is the size of the state in bytes: one sector.
const StateSize = 512

// stateLayout is the version of the state's text.
const stateLayout = "1"

// ErrNoState means that a sector holds no state. boot.scr then starts slot a.
var ErrNoState = errors.New("no state of U-Boot's")

// A State is what the sector says.
type State struct {
	Slot string // "a" or "b": the one that starts
	Try  string // "a" or "b": to be started once, before that is forgotten; "" for none
}

// ParseState reads a sector: an ErrNoState where boot.scr would go by nothing in it. A slot that
// is neither a nor b is a, and a request for anything else, or for the slot itself, is none.
func ParseState(sector []byte) (State, error) {
	text, _, _ := strings.Cut(string(sector[:min(len(sector), StateSize)]), "\x00")
	says := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			says[name] = value
		}
	}
	if says["krazycam"] != "1" || says["layout"] != stateLayout {
		return State{}, fmt.Errorf("krazycam=%q layout=%q: %w", says["krazycam"], says["layout"], ErrNoState)
	}
	s := State{Slot: "a"}
	if says["slot"] == "b" {
		s.Slot = "b"
	}
	if try := says["try"]; try != s.Slot && (try == "a" || try == "b") {
		s.Try = try
	}
	return s, nil
}

// Sector is the text of the state in StateSize bytes.
func (s State) Sector() []byte {
	try := s.Try
	if try == "" {
		try = "-" // env import takes a variable without a value for one that is to go
	}
	text := fmt.Sprintf("krazycam=1\nlayout=%s\nslot=%s\ntry=%s\n", stateLayout, s.Slot, try)
	return []byte(text + strings.Repeat("\n", StateSize-len(text)))
}
