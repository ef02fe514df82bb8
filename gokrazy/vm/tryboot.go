// The tryboot flag. A Pi keeps it in a register that outlives a reset and not the power: reboot(2)
// with the argument "0 tryboot" sets it, the boot firmware reads and clears it. QEMU's virt machine
// has no such register, and nothing of reboot's argument gets out of the guest. So the note of a
// trial in the state sector, which a board writes before it reboots, is taken for the flag, once:
// it is cleared here when it was read after a reset. At power on it is left as it is, and is no
// flag, so that the board's own clearing of a note that nobody took is seen at work.

package vm

import (
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// takeTrialNote says whether the state sector notes a trial, and clears the note.
func takeTrialNote(rw card.ReadWriterAt) (noted bool, err error) {
	sector := make([]byte, disk.SectorSize)
	if _, err := rw.ReadAt(sector, card.StateSector*disk.SectorSize); err != nil {
		return false, fmt.Errorf("state sector: %w", err)
	}
	state, err := slot.ParseState(sector)
	if err != nil || state.Try == "" {
		return false, nil // no sector of ours, or no note in it
	}
	cleared := slot.StateSector(slot.State{Slot: state.Slot})
	if _, err := rw.WriteAt(cleared[:], card.StateSector*disk.SectorSize); err != nil {
		return false, fmt.Errorf("state sector: %w", err)
	}
	return true, nil
}
