package machine

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

func TestHealthNotesWhatTheKernelComplainsAbout(t *testing.T) {
	for _, c := range []struct {
		record    string
		dips, usb int
	}{
		{"2,700,5000000,-;hwmon hwmon1: Undervoltage detected!\n SUBSYSTEM=hwmon\n", 1, 0},
		{"2,700,5000000,-;Under-voltage detected! (0x00050005)\n", 1, 0},
		{"6,701,5000001,-;hwmon hwmon1: Voltage normalised\n", 0, 0},
		{"3,702,5000002,-;usb 1-1: device descriptor read/64, error -71\n SUBSYSTEM=usb\n DEVICE=+usb:1-1\n", 0, 1},
		{"4,703,5000003,-;uvcvideo 1-1:1.1: Non-zero status (-71) in video completion handler.\n", 0, 1},
		{"1,704,5000004,-;usb usb1-port1: over-current condition\n", 0, 1},
		{"6,705,5000005,-;hub 1-0:1.0: over-current change\n", 0, 1},
		{"6,706,5000006,-;usb 1-1: new high-speed USB device number 5 using xhci_hcd\n", 0, 0},
		{"3,707,5000007,-;EXT4-fs error\n usb 1-1: not the text\n", 0, 0},
		{"12,708,5000008,-;usb 1-1: from user space, facility 1, level 4\n", 0, 1},
		{"no record", 0, 0}, {";", 0, 0}, {"", 0, 0},
	} {
		var h Health
		h.addRecord([]byte(c.record))
		if h.voltageDips != c.dips || h.usbErrors != c.usb {
			t.Errorf("%q: %d dips, %d errors, want %d, %d", c.record, h.voltageDips, h.usbErrors, c.dips, c.usb)
		}
	}
}

func TestHealthIsOneLineOnlyWhenSomethingIsWrong(t *testing.T) {
	// A pipe keeps no records apart, so one is written at a time.
	records := filepath.Join(t.TempDir(), "kmsg")
	if err := unix.Mkfifo(records, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(records, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := &Health{sys: fstest.MapFS{}, kmsg: fd}
	defer h.Close()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	h.logComplaints(t.Context(), log)
	if b.Len() > 0 {
		t.Errorf("a healthy machine is reported: %s", &b)
	}
	record := []byte("3,1,2,-;usb 1-1: device not accepting address 5, error -71\n")
	if err := os.WriteFile(records, record, 0); err != nil {
		t.Fatal(err)
	}
	h.logComplaints(t.Context(), log)
	h.logComplaints(t.Context(), log)
	got := b.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "usb-errors=1") || !strings.Contains(got, "error -71") {
		t.Errorf("log = %q, want one line about one USB error", got)
	}
}

func FuzzKernelRecord(f *testing.F) {
	f.Add([]byte("3,702,5000002,-;usb 1-1: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Health
		h.addRecord(b)
		if h.voltageDips+h.usbErrors > 1 || strings.Contains(h.lastUSBError, "\n") {
			t.Errorf("%q: %+v", b, h)
		}
	})
}
