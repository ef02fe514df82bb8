package vm

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/fdt"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

// QEMU's own tree is what is edited: its devices must still be there.
func TestTheGuestSeesAPi4WithTheDevicesOfQEMU(t *testing.T) {
	need.Tools(t, qemuProgram)
	m := newQuietMachine(t)
	var err error
	if m.program, err = exec.LookPath(qemuProgram); err != nil {
		t.Fatal(err)
	}
	m.hardware, m.image = hardware64(), slotImage(t, "")
	for _, tryboot := range []bool{false, true} {
		file, err := m.virtTree(context.Background(), pifirmware.Selection{Tryboot: tryboot}, tryboot)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fdt.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"model": piModel + "\x00", "serial-number": defaultSerial + "\x00", "compatible": "linux,dummy-virt\x00",
		} {
			if got, _ := tree.Root.Property(name); string(got) != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		loader, err := tree.Find("/chosen/bootloader")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := loader.Property("tryboot")
		if len(got) != 4 || (binary.BigEndian.Uint32(got) == 1) != tryboot {
			t.Errorf("tryboot = %v, want %v", got, tryboot)
		}
		if got, _ := loader.Property("rsts"); len(got) != 4 || got[2] != 0x10 || (got[3] == 0x20) != tryboot {
			t.Errorf("rsts = %x after a reset: %v", got, tryboot)
		}
		for _, path := range []string{"/pcie@10000000", "/pl011@9000000", "/cpus/cpu@1", "/psci"} {
			if _, err := tree.Find(path); err != nil {
				t.Errorf("a device of QEMU is gone: %v", err)
			}
		}
	}
}

// pi3Tree is the image's device tree as QEMU's Pi 3 gets it.
func pi3Tree(t *testing.T, overlays ...string) *fdt.Tree {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.rpi").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := newQuietMachine(t)
	m.hardware = hardwarePi3()
	file, err := m.boardTree(filepath.Join(strings.TrimSpace(string(dir)), "bcm2710-rpi-3-b.dtb"),
		pifirmware.Selection{Overlays: overlays})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fdt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestAPi3KeepsItsTreeButForWatchdogAndBluetooth(t *testing.T) {
	tree := pi3Tree(t)
	if got, _ := tree.Root.Property("model"); string(got) != "Raspberry Pi 3 Model B Rev 1.2\x00" {
		t.Errorf("model = %q", got)
	}
	for path, there := range map[string]bool{
		"/soc/watchdog@7e100000": false, "/soc/serial@7e201000/bluetooth": false,
		"/soc/serial@7e201000": true, "/soc/mmc@7e202000": true, "/soc/usb@7e980000": true,
	} {
		if _, err := tree.Find(path); (err == nil) != there {
			t.Errorf("%s: %v, want there %v", path, err, there)
		}
	}
}

// The kernel's name of the serial port follows from the overlay, and so does the played console=.
func TestTheOverlayDecidesWhichPortIsTheFirst(t *testing.T) {
	for _, c := range []struct {
		overlays []string
		first    string // alias serial0
		console  string
	}{
		{nil, miniUART, "ttyAMA1"},
		{[]string{"overlays/disable-bt.dtbo"}, pl011, "ttyAMA0"},
		{[]string{"a/overlays/dwc2.dtbo"}, miniUART, "ttyAMA1"},
	} {
		aliases, err := pi3Tree(t, c.overlays...).Find("/aliases")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := aliases.Property("serial0"); string(got) != c.first+"\x00" {
			t.Errorf("overlays %q: serial0 = %q, want %s", c.overlays, got, c.first)
		}
		m := &Machine{hardware: hardwarePi3()}
		if got := m.serialPort(pifirmware.Selection{Overlays: c.overlays}); got != c.console {
			t.Errorf("overlays %q: console on %s, want %s", c.overlays, got, c.console)
		}
	}
}

func TestACardForQEMUHasAPowerOfTwo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "card")
	for size, want := range map[int64]int64{1: 1, 4096: 4096, 4097: 8192, 1249 << 20: 2 << 30} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		if err := padToPowerOfTwo(file); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Size() != want {
			t.Errorf("%d bytes became %v, %v, want %d", size, info, err, want)
		}
	}
}
