// Why the board started, as far as the hardware tells.
// Sources: Raspberry Pi documentation, "device tree: chosen/bootloader/rsts"; the bits are those of
// BCM2835's PM_RSTS in drivers/watchdog/bcm2835_wdt.c and Broadcom's reset manager.

package main

import (
	"encoding/binary"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	rstsPowerOn  = 0x1000 // HADPOR
	rstsWatchdog = 0x20   // HADWRF: the watchdog, by which a plain restart is made, too
)

// What is known of the start.
const (
	causePower   = "power on"
	causeRestart = "restart"
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
