// What a Pi's boot firmware says of itself: whether it can be trusted with a trial.
// Source: Raspberry Pi documentation, "Device trees, overlays and parameters", /chosen/bootloader.

package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// trybootSince is 11 January 2023. A boot firmware of April 2021 is reported to have ignored
// tryboot.txt; of those since January 2023 nobody has reported that.
const trybootSince = 1673395200

// loaderCell reads a number that the boot firmware left in the device tree.
func loaderCell(name string) (value uint32, ok bool) {
	b, err := openfile.Read("/proc/device-tree/chosen/bootloader/"+name, 16)
	if err != nil || len(b) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// loaderFlaw says why a trial would be in vain on this board, read by cell, which is loaderCell or a
// test's; "": nothing speaks against it. A boot firmware that says nothing of its age is given a
// chance: it costs one restart.
func loaderFlaw(t board.Trial, cell func(string) (uint32, bool)) string {
	if t != board.Tryboot {
		return ""
	}
	built, ok := cell("build-timestamp")
	if !ok || built >= trybootSince {
		return ""
	}
	return fmt.Sprintf("the boot firmware (EEPROM) of this Raspberry Pi is of %s, too old to try an update: "+
		"bring it up to date", time.Unix(int64(built), 0).UTC().Format(time.DateOnly))
}

// missedTrial explains a trial that did not come to pass; "": nothing is known.
func missedTrial(t board.Trial, cell func(string) (uint32, bool)) string {
	if _, ok := cell("tryboot"); t == board.Tryboot && !ok {
		return "the boot firmware (EEPROM) does not say that it knows trials: bring it up to date"
	}
	return ""
}
