//go:build long

// The last rung of a camera's rescue on the unmodified image: the board restarts once it is up
// for an hour. The hour takes a minute and a half, because the device tree tells the guest that
// its clock ticks slower than it does. scripts/test --long runs it.

package rig

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
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
	if err == nil {
		err = os.WriteFile(hurried, withClockFrequency(t, b, clockRate/hurry), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hurried
}

// withClockFrequency adds a property to the node /timer of a flattened device tree: the
// structure block grows by it, the strings block, which goes behind, by its name (Devicetree
// Specification 0.4, chapter 5; a header is 10 words).
func withClockFrequency(t *testing.T, tree []byte, hz uint32) []byte {
	t.Helper()
	const beginNode, property = 1, 3
	word := binary.BigEndian
	var header [10]uint32 // magic, total, structure, strings, reservations, versions 3, sizes of strings and structure
	for i := range header {
		header[i] = word.Uint32(tree[4*i:])
	}
	structure, names := tree[header[2]:][:header[9]], tree[header[3]:][:header[8]]
	begin := append(word.AppendUint32(nil, beginNode), "timer\x00\x00\x00"...)
	at := bytes.Index(structure, begin)
	if at < 0 {
		t.Fatal("the device tree has no timer")
	}
	at += len(begin)
	var added []byte
	for _, w := range []uint32{property, 4, uint32(len(names)), hz} {
		added = word.AppendUint32(added, w)
	}
	structure = bytes.Join([][]byte{structure[:at], added, structure[at:]}, nil)
	names = append(bytes.Clone(names), "clock-frequency\x00"...)
	reservations := make([]byte, 16) // none
	header[4] = 40
	header[2] = header[4] + uint32(len(reservations))
	header[3] = header[2] + uint32(len(structure))
	header[1] = header[3] + uint32(len(names))
	header[8], header[9] = uint32(len(names)), uint32(len(structure))
	var out []byte
	for _, w := range header {
		out = word.AppendUint32(out, w)
	}
	return bytes.Join([][]byte{out, reservations, structure, names}, nil)
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
