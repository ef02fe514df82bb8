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
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kernelLog is where the kernel's log is read, a record for each call.
const kernelLog = "/dev/kmsg"

// longestRecord is the most bytes of a record: 8 KiB is what the kernel asks readers for.
const longestRecord = 8 << 10

// mostRecords bounds one look at the log: a device that floods it must not hold us here.
const mostRecords = 4096

// reportInterval is how often Watch looks at the machine.
const reportInterval = time.Minute

// A Health collects complaints of the kernel from one look to the next.
type Health struct {
	sys  fs.FS // /sys
	kmsg int   // descriptor of the kernel's log, -1: not ours to read

	undervoltage bool   // now
	dips         int    // times the voltage fell
	usbErrors    int    // lines about USB that are warnings or worse
	last         string // of them
}

// OpenHealth looks at what the kernel says from now on. sys is /sys. A log that may not be
// read is left out: on a PC it is root's.
func OpenHealth(sys fs.FS) *Health {
	fd, err := unix.Open(kernelLog, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &Health{sys: sys, kmsg: -1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		_ = unix.Close(fd) // nothing was read
		fd = -1
	}
	return &Health{sys: sys, kmsg: fd}
}

// Close gives the kernel's log back. It may be called twice.
func (h *Health) Close() {
	if h.kmsg >= 0 {
		_ = unix.Close(h.kmsg) // nothing is lost with it
		h.kmsg = -1
	}
}

// Watch logs what is wrong, at most one line every minute, until ctx ends; then it closes h.
func (h *Health) Watch(ctx context.Context, log *slog.Logger) {
	defer h.Close()
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.tell(ctx, log)
		}
	}
}

// tell logs what is wrong since the last time, in one line, and nothing if all is well.
func (h *Health) tell(ctx context.Context, log *slog.Logger) {
	h.look()
	if h.undervoltage || h.dips > 0 || h.usbErrors > 0 {
		log.LogAttrs(ctx, slog.LevelWarn, "the machine complains", slog.Bool("undervoltage", h.undervoltage),
			slog.Int("voltage-dips", h.dips), slog.Int("usb-errors", h.usbErrors), slog.String("last", h.last))
	}
	*h = Health{sys: h.sys, kmsg: h.kmsg}
}

// look reads what the kernel says now and has said since the last look.
func (h *Health) look() {
	h.undervoltage = undervoltage(h.sys)
	if h.kmsg < 0 {
		return
	}
	record := make([]byte, longestRecord)
	for range mostRecords {
		n, err := unix.Read(h.kmsg, record)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EPIPE): // EPIPE: records were lost
			continue
		case err != nil || n == 0:
			return
		}
		h.note(record[:n])
	}
}

// undervoltage reads the alarm of a Raspberry Pi's own sensor, false where there is none.
func undervoltage(sys fs.FS) bool {
	const class = "class/hwmon"
	entries, err := fs.ReadDir(sys, class)
	if err != nil {
		return false
	}
	for _, e := range entries {
		name, err := fs.ReadFile(sys, path.Join(class, e.Name(), "name"))
		if err != nil || strings.TrimSpace(string(name)) != "rpi_volt" {
			continue
		}
		alarm, err := fs.ReadFile(sys, path.Join(class, e.Name(), "in0_lcrit_alarm"))
		return err == nil && strings.TrimSpace(string(alarm)) == "1"
	}
	return false
}

// usbSpeakers begin the lines of those who speak about USB.
var usbSpeakers = []string{"usb ", "usb_", "hub ", "uvcvideo", "xhci", "dwc2", "dwc_otg", "musb"}

// warning is the syslog level from which on a line about USB counts.
const warning = 4

// note takes one record: "priority,sequence,microseconds,flags;text", then lines that
// begin with a blank. The lowest three bits of the priority are the level.
func (h *Health) note(record []byte) {
	head, text, found := bytes.Cut(record, []byte{';'})
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	digits, _, _ := bytes.Cut(head, []byte{','})
	priority, err := strconv.ParseUint(string(digits), 10, 32)
	if !found || err != nil {
		return
	}
	line := string(text)
	switch {
	case strings.Contains(strings.ToLower(line), "under-voltage detected"), strings.Contains(strings.ToLower(line), "undervoltage detected"):
		h.dips++
	case strings.Contains(line, "over-current"):
		h.usbErrors, h.last = h.usbErrors+1, line
	case priority&7 <= warning:
		for _, speaker := range usbSpeakers {
			if strings.HasPrefix(line, speaker) {
				h.usbErrors, h.last = h.usbErrors+1, line
				return
			}
		}
	}
}
