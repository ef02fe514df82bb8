// The state sector: raw sector card.StateSector of the disk, which U-Boot's script reads and
// writes. It is text for "env import -t", filled up with newlines:
//
//	krazycam=1
//	layout=1
//	slot=a
//	try=-

package slot

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// Layout is the version of what lies where on a card. A manifest can ask for a minimum.
const Layout = 1

const (
	stateHead = "krazycam=1\nlayout=1\nslot="
	stateTry  = "\ntry="
	noTry     = "-"
)

// ErrState means that the state sector holds something else.
var ErrState = errors.New("state sector")

// A State is what the state sector says.
type State struct {
	Slot Name // that U-Boot starts
	Try  Name // that it starts once instead, after it has cleared this
}

// StateSector gives the bytes of a state. A Slot that is none becomes a, as in U-Boot's script.
func StateSector(s State) [disk.SectorSize]byte {
	if !s.Slot.Valid() {
		s.Slot = A
	}
	try := noTry
	if s.Try.Valid() {
		try = string(s.Try)
	}
	var out [disk.SectorSize]byte
	n := copy(out[:], stateHead+string(s.Slot)+stateTry+try)
	copy(out[n:], bytes.Repeat([]byte{'\n'}, len(out)-n))
	return out
}

// ParseState reads the sector. With an error, an ErrState, it gives what U-Boot's script does then:
// slot a and no trial. The text ends at a zero byte, which U-Boot's "env export -t" writes behind it.
func ParseState(b []byte) (State, error) {
	s, err := parseState(b)
	if err != nil {
		return State{Slot: A}, fmt.Errorf("%w: %w", ErrState, err)
	}
	return s, nil
}

func parseState(b []byte) (s State, err error) {
	if len(b) < disk.SectorSize {
		return s, fmt.Errorf("%d bytes, want %d", len(b), disk.SectorSize)
	}
	text, _, _ := bytes.Cut(b[:disk.SectorSize], []byte{0})
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if _, twice := values[key]; !ok || twice {
			return s, fmt.Errorf("line %.40q", line)
		}
		values[key] = value
	}
	for _, want := range []struct{ key, value string }{{"krazycam", "1"}, {"layout", strconv.Itoa(Layout)}} {
		if values[want.key] != want.value {
			return s, fmt.Errorf("%s=%.40q, want %s", want.key, values[want.key], want.value)
		}
	}
	if len(values) != 4 {
		return s, fmt.Errorf("%d variables, want krazycam, layout, slot and try", len(values))
	}
	if s.Slot, err = ParseName(values["slot"]); err != nil {
		return s, err
	}
	if values["try"] != noTry {
		if s.Try, err = ParseName(values["try"]); err != nil {
			return s, fmt.Errorf("try: %w", err)
		}
	}
	return s, nil
}
