// Why the board started, as far as the hardware tells, and how the run before ended.
// Sources: Raspberry Pi documentation, "device tree: chosen/bootloader/rsts"; the bits are those of
// BCM2835's PM_RSTS in drivers/watchdog/bcm2835_wdt.c and Broadcom's reset manager.

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/perm"
)

const (
	rstsPowerOn  = 0x1000 // HADPOR
	rstsWatchdog = 0x20   // HADWRF: the watchdog, by which a plain restart is made, too
)

// What is known of the start.
const (
	causePower   = "power on"
	causeRestart = "restart"
	causeCrash   = "panic or watchdog reset" // a restart that the run before did not make
	causeUnknown = "unknown"
)

// bootCause reads what the Pi's boot firmware left in the device tree.
func bootCause() string {
	b, err := openfile.Read("/proc/device-tree/chosen/bootloader/rsts", 16)
	if err != nil {
		return causeUnknown
	}
	return parseResetStatus(b)
}

// parseResetStatus takes the cell of a device tree: 32 bits, big endian. The bit of a power-on may
// stay set through later resets, so the watchdog's counts more.
func parseResetStatus(b []byte) string {
	if len(b) != 4 {
		return causeUnknown
	}
	switch status := binary.BigEndian.Uint32(b); {
	case status&rstsWatchdog != 0:
		return causeRestart
	case status&rstsPowerOn != 0:
		return causePower
	}
	return causeUnknown
}

// A lastRun is how the run before ended, by what it left in runFile.
type lastRun string

// What is known of the run before. Both are of the same length, for perm.Overwrite.
const (
	runUnknown lastRun = ""        // there was none, or /perm was lost
	runCut     lastRun = "begun\n" // it did not end in order
	runEnded   lastRun = "ended\n" // it restarted the board, or switched it off
)

// runFile costs a card two small writes for each start.
const runFile = permFolder + "/run"

// beginRun says how the run before ended, and notes that this one has begun.
func beginRun(log *slog.Logger, path string) lastRun {
	b, err := openfile.Read(path, 16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("how the run before ended is not known", "error", err)
	}
	noteRun(log, path, runCut)
	switch before := lastRun(b); before {
	case runCut, runEnded:
		return before
	}
	return runUnknown
}

// endRun notes that this run ends in order.
func endRun(log *slog.Logger, path string) { noteRun(log, path, runEnded) }

func noteRun(log *slog.Logger, path string, state lastRun) {
	if err := perm.Overwrite(path, 0o644, []byte(state)); err != nil {
		log.Error("the next start will not know how this run ended", "error", err)
	}
}

// noteStart keeps the start of the board as an event, and returns its cause as far as that can be told:
// by the hardware, and by how the run before ended.
func noteStart(log *slog.Logger, list eventLog, cause string, before lastRun, where place) string {
	kind, text := events.Boot, fmt.Sprintf("start by %s, slot %s", cause, where.running)
	switch {
	case before == runCut && cause == causeRestart:
		cause, kind = causeCrash, events.Panic
		text = fmt.Sprintf("start after a %s, slot %s", cause, where.running)
	case before == runCut && cause == causeUnknown:
		text += "; the run before did not end in order: power cut, panic or watchdog"
	}
	if where.onTrial() {
		text += ", which is not the promoted one"
	}
	if err := list.Add(kind, text); err != nil {
		log.Error("events", "error", err)
	}
	return cause
}
