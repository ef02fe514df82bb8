package fdt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/krazycam/krazycam/farend/need"
)

func sample() *Tree {
	return &Tree{bootCPU: 3, Root: &Node{
		Properties: []Property{{"model", Text("linux,dummy-virt")}, {"#size-cells", Cell(2)}},
		Nodes: []*Node{
			{Name: "chosen", Properties: []Property{{"empty", nil}, {"odd", []byte{1, 2, 3}}}},
			{Name: "soc", Nodes: []*Node{
				{Name: "serial@1", Properties: []Property{{"model", Text("x")}}, Nodes: []*Node{{Name: "bluetooth"}}},
				{Name: "serial@2"},
			}},
		},
	}}
}

var compare = cmp.Options{cmp.AllowUnexported(Tree{}), cmpopts.EquateEmpty()}

func TestWrittenTreeIsReadBackTheSame(t *testing.T) {
	want := sample()
	got, err := Parse(append(want.Bytes(), "behind it"...))
	if err != nil {
		t.Fatal(err)
	}
	want.reserved = make([]byte, 16)
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("written again, the bytes differ")
	}
}

func TestEdits(t *testing.T) {
	tree := sample()
	tree.Root.Set("model", Text("Raspberry Pi 4 Model B"))
	tree.Root.Child("chosen").Child("bootloader").Set("tryboot", Cell(1))
	if err := tree.Remove("/soc/serial@1/bluetooth"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Remove("/soc/serial@2"); err != nil {
		t.Fatal(err)
	}
	got, err := Parse(tree.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := got.Root.Property("model"); string(v) != "Raspberry Pi 4 Model B\x00" {
		t.Errorf("model = %q", v)
	}
	n, err := got.Find("/chosen/bootloader")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := n.Property("tryboot"); !ok || binary.BigEndian.Uint32(v) != 1 {
		t.Errorf("tryboot = %v, %v", v, ok)
	}
	if _, ok := n.Property("absent"); ok {
		t.Error("a property that is not there was found")
	}
	soc, err := got.Find("/soc")
	if err != nil || len(soc.Nodes) != 1 || len(soc.Nodes[0].Nodes) != 0 {
		t.Errorf("soc = %+v, %v, want one node with nothing below it", soc, err)
	}
	if _, err := got.Find("/soc/serial@2"); !errors.Is(err, ErrNoNode) {
		t.Errorf("Find of what was removed = %v, want ErrNoNode", err)
	}
	for _, path := range []string{"/soc/serial@9", "/none/x", "none", ""} {
		if err := got.Remove(path); !errors.Is(err, ErrNoNode) {
			t.Errorf("Remove(%q) = %v, want ErrNoNode", path, err)
		}
	}
}

// The trees of the boards' kernel, and what the reference reader makes of them.
func TestTreesOfRaspberryPisKeepTheirMeaning(t *testing.T) {
	need.Tools(t, "dtc")
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.rpi").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bcm2710-rpi-3-b.dtb", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb"} {
		original := filepath.Join(strings.TrimSpace(string(dir)), name)
		b, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		written := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(written, tree.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if want, got := source(t, original), source(t, written); got != want {
			t.Errorf("%s: dtc reads another tree", name)
		}
	}
}

// source decompiles a tree.
func source(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("dtc", "-q", "-I", "dtb", "-O", "dts", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestDamagedTreesAreRefused(t *testing.T) {
	whole := sample().Bytes()
	edit := func(at int, word uint32) []byte {
		b := bytes.Clone(whole)
		binary.BigEndian.PutUint32(b[at:], word)
		return b
	}
	deep := &Tree{Root: &Node{}}
	for n := deep.Root; len(deep.Bytes()) < 4000; n = n.Child("x") {
		n.Child("x")
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte(strings.Repeat("text ", 20)), "cut": whole[:len(whole)-1],
		"size":              edit(4, maxSize+1),
		"tokens outside":    edit(8, 1<<31),
		"names outside":     edit(12, uint32(len(whole))+4),
		"reservations":      edit(16, uint32(len(whole))),
		"version":           edit(20, 3),
		"first token":       edit(56, tokenProp),
		"unknown token":     edit(64, 17),
		"a property's size": edit(68, 1<<30),
		"a property's name": edit(72, 1<<20),
		"too deep":          deep.Bytes(),
	} {
		if tree, err := Parse(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Parse = %v, %v, want ErrDamaged", name, tree, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte(fmt.Sprint(uint32(Magic))))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(tree.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tree, again, compare); diff != "" {
			t.Fatal(diff)
		}
	})
}
