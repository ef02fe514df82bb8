// What the machine reports about itself that explains a bad picture: too little voltage, USB
// errors. Owns a descriptor of the kernel's log.
// Sources: kernel documentation hwmon/raspberrypi-hwmon, ABI/testing/dev-kmsg.

package machine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelLogPath is where the kernel's log is read, one record with each call.
const kernelLogPath = "/dev/kmsg"

const (
	// reportInterval is how often Watch looks at the machine.
	reportInterval = time.Minute
	// recordSizeLimit in bytes: the kernel asks readers for a buffer of 8 KiB.
	recordSizeLimit = 8 << 10
	// recordsPerReport bounds the reading: a device that floods the log must not keep us here.
	recordsPerReport = 4096
)

// A Health collects complaints of the kernel from one report to the next.
type Health struct {
	sys  fs.FS // /sys
	kmsg int   // descriptor of the kernel's log; -1: this process may not read it

	undervoltage bool   // now
	voltageDips  int    // times the voltage fell
	usbErrors    int    // log lines about USB that are warnings or worse
	lastUSBError string // the last of them
}

// OpenHealth looks at what the kernel says from now on. sys is /sys. A log that may not be
// read is left out: on a PC it is root's.
func OpenHealth(sys fs.FS) *Health {
	fd, err := unix.Open(kernelLogPath, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &Health{sys: sys, kmsg: -1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		_ = unix.Close(fd) // nothing was read
		fd = -1
	}
	return &Health{sys: sys, kmsg: fd}
}

// Close closes the kernel's log. It may be called twice.
func (h *Health) Close() {
	if h.kmsg >= 0 {
		_ = unix.Close(h.kmsg) // nothing is lost with it
		h.kmsg = -1
	}
}

// Watch logs what is wrong, at most one line a minute, until ctx ends; then it closes h.
func (h *Health) Watch(ctx context.Context, log *slog.Logger) {
	defer h.Close()
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.logComplaints(ctx, log)
		}
	}
}

// logComplaints logs what went wrong since the last call, in one line, or nothing if all is well.
func (h *Health) logComplaints(ctx context.Context, log *slog.Logger) {
	h.undervoltage, _ = Undervoltage(h.sys)
	h.readKernelLog()
	if h.undervoltage || h.voltageDips > 0 || h.usbErrors > 0 {
		log.LogAttrs(ctx, slog.LevelWarn, "the machine complains",
			slog.Bool("undervoltage", h.undervoltage), slog.Int("voltage-dips", h.voltageDips),
			slog.Int("usb-errors", h.usbErrors), slog.String("last", h.lastUSBError))
	}
	*h = Health{sys: h.sys, kmsg: h.kmsg}
}

// readKernelLog counts what the kernel has logged since the last call.
func (h *Health) readKernelLog() {
	if h.kmsg < 0 {
		return
	}
	record := make([]byte, recordSizeLimit)
	for range recordsPerReport {
		n, err := unix.Read(h.kmsg, record)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EPIPE): // EPIPE: records were lost
			continue
		case err != nil || n == 0:
			return
		}
		h.addRecord(record[:n])
	}
}

// usbPrefixes begin the log lines of drivers that speak about USB.
var usbPrefixes = []string{"usb ", "usb_", "hub ", "uvcvideo", "xhci", "dwc2", "dwc_otg", "musb"}

// levelWarning is the syslog level up to which a line about USB counts: lower is more severe.
const levelWarning = 4

// addRecord counts one record: "priority,sequence,microseconds,flags;text", then lines that
// begin with a blank. The lowest three bits of the priority are the level.
func (h *Health) addRecord(record []byte) {
	head, text, found := bytes.Cut(record, []byte{';'})
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	digits, _, _ := bytes.Cut(head, []byte{','})
	priority, err := strconv.ParseUint(string(digits), 10, 32)
	if !found || err != nil {
		return
	}
	line := string(text)
	switch {
	case isVoltageDip(line):
		h.voltageDips++
	case strings.Contains(line, "over-current"), priority&7 <= levelWarning && isAboutUSB(line):
		h.usbErrors, h.lastUSBError = h.usbErrors+1, line
	}
}

// isVoltageDip knows both spellings of the Pi's drivers.
func isVoltageDip(line string) bool {
	line = strings.ToLower(line)
	return strings.Contains(line, "under-voltage detected") || strings.Contains(line, "undervoltage detected")
}

func isAboutUSB(line string) bool {
	for _, prefix := range usbPrefixes {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
