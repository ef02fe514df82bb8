//go:build long

// The last rung of a camera's rescue on the unmodified image: the board restarts once it is up
// for an hour. The hour takes a minute and a half, because the device tree tells the guest that
// its clock ticks slower than it does. scripts/test --long runs it.

package rig

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/fdt"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const (
	// hurry is how much faster than ours the guest's time passes.
	hurry = 40
	// clockRate is what QEMU's cortex-a72 counts with, Hz.
	clockRate = 62_500_000
)

// hurriedTree is the device tree that QEMU makes for an image's machine, with another rate
// at its timer, which the kernel believes rather than the processor (arm,arch_timer.yaml,
// clock-frequency).
func hurriedTree(ctx context.Context, t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	plain, hurried := filepath.Join(dir, "plain.dtb"), filepath.Join(dir, "hurried.dtb")
	// QEMU writes it and ends instead of booting.
	m, err := vm.Start(ctx, vm.Config{Image: image, Snapshot: true, QEMUArgs: []string{"-machine", "dumpdtb=" + plain}})
	if err == nil {
		err = m.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fdt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	timer, err := tree.Find("/timer")
	if err != nil {
		t.Fatal(err)
	}
	timer.Set("clock-frequency", fdt.Cell(clockRate/hurry))
	if err := os.WriteFile(hurried, tree.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return hurried
}

func TestBoardRestartsForACameraThatStaysAwayInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	m, err := vm.Start(ctx, vm.Config{
		Image: image, Snapshot: true, Camera: virtualcam.New(virtualcam.NewPattern()),
		Seed:     []byte(`{"stream": {"size": "320x240", "rtp": "10.0.2.2:5004", "rtcp": "10.0.2.2:5005"}}`),
		QEMUArgs: []string{"-dtb", hurriedTree(ctx, t, image)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer func() {
		if t.Failed() {
			for _, l := range m.Lines() {
				t.Log(l.Text)
			}
		}
	}()
	if _, err := m.WaitLine(ctx, regexp.MustCompile(`camsource READY`)); err != nil {
		t.Fatal(err)
	}
	m.Unplug()
	wished, err := m.WaitLine(ctx, regexp.MustCompile(`the camera does not come back: restarting the board`))
	if err != nil {
		t.Fatal(err)
	}
	up := wished.At.Sub(m.Started()) * hurry
	for m.Boots() < 2 && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("FIGURE board whose camera stays away: restarted after about %v of its own time, %d boots",
		up.Round(time.Minute), m.Boots())
	if up < time.Hour || m.Boots() != 2 {
		t.Errorf("restarted after %v, %d boots; want not before an hour, and 2", up, m.Boots())
	}
}
