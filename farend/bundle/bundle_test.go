package bundle

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/gokrazy/fleet/fleettest"
)

func writeBundle(t *testing.T, change func([]byte) []byte) string {
	t.Helper()
	b, _ := fleettest.Bundle(t, "v2", 200, 20_000)
	if change != nil {
		b = change(b)
	}
	path := filepath.Join(t.TempDir(), "mine.update")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestABundleIsKeptByTheNameOfItsUpdateAndOpenedByIt(t *testing.T) {
	path, folder := writeBundle(t, nil), t.TempDir()
	want := rollout.Update{Version: "v2", Board: "rpi", Index: 200}
	name, u, err := Keep(path, folder)
	if err != nil || name != "krazycam-v2-rpi.update" || u != want {
		t.Fatalf("Keep = %q, %+v, %v", name, u, err)
	}
	b, err := Folder(folder)(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Body.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, b.Size)
	if _, err := b.Body.ReadAt(got, 0); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v, want the bundle", len(got), err)
	}
	if b.Update != want || len(b.ETag) != 32 {
		t.Errorf("%+v", b)
	}
	other, err := Folder(t.TempDir())(path) // a whole path
	if err != nil || other.ETag != b.ETag {
		t.Fatalf("%+v, %v", other, err)
	}
	_ = other.Body.Close()
	if _, err := Folder(folder)("../" + filepath.Base(folder) + "x/" + name + "y"); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestADamagedBundleIsNotKept(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		says   string
	}{
		"cut":     {func(b []byte) []byte { return b[:len(b)/2] }, "mine.update"},
		"damaged": {func(b []byte) []byte { b[len(b)-3000] ^= 1; return b }, "part root: damaged"},
		"empty":   {func([]byte) []byte { return nil }, "mine.update"},
	} {
		folder := t.TempDir()
		if _, _, err := Keep(writeBundle(t, c.change), folder); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.says)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
}

func TestEachModelHasItsBoard(t *testing.T) {
	for model, want := range map[string]string{
		"Raspberry Pi 4 Model B Rev 1.4": "rpi", "Raspberry Pi Zero 2 W Rev 1.0": "rpi",
		"TI AM335x BeagleBone Black": "bbb", "linux,dummy-virt": "", "": "",
	} {
		if got := BoardOf(model); got != want {
			t.Errorf("BoardOf(%q) = %q, want %q", model, got, want)
		}
	}
}
