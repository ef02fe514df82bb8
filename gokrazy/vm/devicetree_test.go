package vm

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/vm/fdt"
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
		file, err := m.piTree(context.Background(), pifirmware.Selection{Tryboot: tryboot})
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
		for _, path := range []string{"/pcie@10000000", "/pl011@9000000", "/cpus/cpu@1", "/psci"} {
			if _, err := tree.Find(path); err != nil {
				t.Errorf("a device of QEMU is gone: %v", err)
			}
		}
	}
}
