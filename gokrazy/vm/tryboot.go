// The tryboot flag. A Pi keeps it in a register that outlives a reset and not the power: reboot(2)
// with the argument "0 tryboot" sets it, the boot firmware reads and clears it. QEMU's virt machine
// has no such register, and nothing of reboot's argument gets out of the guest. So the note of a
// trial in the state sector, which a board writes before it reboots, is taken for the flag, once:
// it is cleared here when it was read after a reset. At power on it is left as it is, and is no
// flag, so that the board's own clearing of a note that nobody took is seen at work.

package vm

import (
	"bytes"
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// takeTrialNote says whether the state sector notes a trial, and clears the note.
func takeTrialNote(rw card.ReadWriterAt) (noted bool, err error) {
	sector := make([]byte, disk.SectorSize)
	if _, err := rw.ReadAt(sector, card.StateSector*disk.SectorSize); err != nil {
		return false, fmt.Errorf("state sector: %w", err)
	}
	at, noted := trialNote(sector)
	if !noted {
		return false, nil
	}
	sector[at] = '-'
	if _, err := rw.WriteAt(sector, card.StateSector*disk.SectorSize); err != nil {
		return false, fmt.Errorf("state sector: %w", err)
	}
	return true, nil
}

// trialNote finds the slot's letter in the line try=a or try=b of a sector of ours.
func trialNote(sector []byte) (at int, noted bool) {
	const key = "\ntry="
	if !bytes.HasPrefix(sector, []byte("krazycam=1\n")) {
		return 0, false
	}
	at = bytes.Index(sector, []byte(key)) + len(key)
	if at < len(key) || at+1 >= len(sector) || sector[at+1] != '\n' {
		return 0, false
	}
	return at, sector[at] == card.SlotA[0] || sector[at] == card.SlotB[0]
}
