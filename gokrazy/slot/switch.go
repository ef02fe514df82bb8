// Changing what starts. Each change is one sector, written, flushed and read back before the next:
//
//	Promote       tryboot.txt, config.txt, state sector
//	RequestTrial  tryboot.txt, state sector
//	ClearTrial    state sector
//	Heal          what disagrees, in the order of Promote
//
// At each of these moments both slots are whole, so a cut between two writes leaves a card that
// starts the old or the new version on whatever model it is; the next start heals the rest. A slot
// is only ever written (slotwriter) while no place but tryboot.txt names it, which counts for
// nothing until the board itself asks for it.

package slot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// Refusals of a change, for errors.Is.
var (
	ErrOnTrial  = errors.New("a slot is on trial")
	ErrPromoted = errors.New("that slot is promoted")
)

// A sectorWrite is one step of a change.
type sectorWrite struct {
	what  string
	at    int64
	bytes []byte // one sector
}

// CheckSwitch says why this card could not be switched: an owner may have edited config.txt such
// that its lines of os_prefix lie in two sectors, or removed tryboot.txt.
func (c *Card) CheckSwitch() error {
	if c.config != nil && c.tryboot == nil {
		return fmt.Errorf("%s: %w: put a copy of %s there that names the other slot", card.TrybootName, fs.ErrNotExist,
			card.ConfigName)
	}
	_, err := c.planPromote(A)
	return err
}

// Promote makes n what every model starts.
func (c *Card) Promote(n Name) error {
	if err := c.CheckSlot(n); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	steps, err := c.planPromote(n)
	if err != nil {
		return fmt.Errorf("promote slot %s: %w", n, err)
	}
	return c.write("promote slot "+string(n), steps)
}

// planPromote plans the steps that are needed: none if all places agree already.
func (c *Card) planPromote(n Name) ([]sectorWrite, error) {
	return c.plan(n.Other(), n, State{Slot: n})
}

// RequestTrial prepares that n, which must be whole, is started once: by a plain restart where
// U-Boot chooses, by reboot(2) with "0 tryboot" on a Pi 4 or 5. There the state sector is a note.
func (c *Card) RequestTrial(n Name) error {
	if p := c.Pointers(); p.Firmware == n || p.UBoot == n && c.stateErr == nil {
		return fmt.Errorf("try slot %s: %w", n, ErrPromoted)
	}
	if err := c.CheckSlot(n); err != nil {
		return fmt.Errorf("try: %w", err)
	}
	if err := c.CheckSwitch(); err != nil { // what cannot be promoted need not be tried
		return fmt.Errorf("try slot %s: %w", n, err)
	}
	steps, err := c.plan(n, None, State{Slot: n.Other(), Try: n})
	if err != nil {
		return fmt.Errorf("try slot %s: %w", n, err)
	}
	return c.write("try slot "+string(n), steps)
}

// ClearTrial takes a request back that did not come to pass.
func (c *Card) ClearTrial() error {
	if c.stateErr != nil || c.state.Try == None {
		return nil
	}
	steps, err := c.plan(None, None, State{Slot: c.state.Slot})
	if err != nil {
		return fmt.Errorf("clear the trial: %w", err)
	}
	return c.write("clear the trial", steps)
}

// Heal makes all places agree with the one that the running model goes by, after a cut within
// Promote or a move between models, and gives the slot that is promoted. What this model goes by
// may be damaged itself: then the running slot is promoted. While another slot runs than is
// promoted, it says ErrOnTrial and changes nothing. A request for a trial goes: it led nowhere.
func (c *Card) Heal(t board.Trial, running Name) (Name, error) {
	promoted, err := c.Promoted(t)
	switch {
	case t == "":
		return None, fmt.Errorf("heal: %w", err)
	case !running.Valid():
		return None, fmt.Errorf("heal: running slot %q", running)
	case err != nil:
		promoted = running
	case promoted != running:
		return promoted, fmt.Errorf("heal: slot %s runs, %s is promoted: %w", running, promoted, ErrOnTrial)
	}
	steps, err := c.planPromote(promoted)
	if err != nil {
		return promoted, fmt.Errorf("heal: %w", err)
	}
	return promoted, c.write("heal", steps)
}

// plan gives the writes that make tryboot.txt and config.txt name these slots (None: as it is) and
// the sector hold the state. What agrees already is not written.
func (c *Card) plan(tryboot, config Name, s State) (steps []sectorWrite, err error) {
	for _, f := range []struct {
		file *configFile
		slot Name
	}{{c.tryboot, tryboot}, {c.config, config}} {
		if f.file == nil || f.slot == None {
			continue
		}
		step, err := f.file.planSlot(f.slot, c.config)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step...)
	}
	if c.stateErr != nil || c.state != s {
		sector := StateSector(s)
		steps = append(steps, sectorWrite{"state sector", card.StateSector * disk.SectorSize, sector[:]})
	}
	return steps, nil
}

// planSlot changes the one sector that names the slot. tryboot.txt follows config.txt where both
// are one sector: an owner edits config.txt alone, and a trial without those lines proves nothing.
func (f *configFile) planSlot(n Name, config *configFile) ([]sectorWrite, error) {
	text := f.text
	if f.name == card.TrybootName && len(f.text) == disk.SectorSize && config != nil &&
		len(config.text) <= disk.SectorSize {
		text = append(bytes.Clone(config.text), bytes.Repeat([]byte{'\n'}, disk.SectorSize-len(config.text))...)
	}
	sector, err := prefixSector(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	text, err = Config(text, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	from := sector * disk.SectorSize
	out := bytes.Clone(f.room[from : from+disk.SectorSize])
	copy(out, text[from:])
	if bytes.Equal(out, f.room[from:from+disk.SectorSize]) {
		return nil, nil
	}
	return []sectorWrite{{f.name, f.at + int64(from), out}}, nil
}

// write does the steps in order. After an error the rest is not done: what was done is whole.
func (c *Card) write(why string, steps []sectorWrite) error {
	for _, s := range steps {
		if err := writeSector(c.disk, s); err != nil {
			return fmt.Errorf("%s: %s at byte %d: %w", why, s.what, s.at, err)
		}
		c.note(s)
	}
	return nil
}

func writeSector(d Disk, s sectorWrite) error {
	if _, err := d.WriteAt(s.bytes, s.at); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	got := make([]byte, len(s.bytes))
	if _, err := d.ReadAt(got, s.at); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if !bytes.Equal(got, s.bytes) {
		return errors.New("reads back otherwise than written")
	}
	return nil
}

// note keeps what the card says now.
func (c *Card) note(s sectorWrite) {
	if s.at == card.StateSector*disk.SectorSize {
		c.state, c.stateErr = ParseState(s.bytes)
		return
	}
	for _, f := range []*configFile{c.config, c.tryboot} {
		if f != nil && s.at >= f.at && s.at < f.at+int64(len(f.room)) {
			copy(f.room[s.at-f.at:], s.bytes)
		}
	}
}
