package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const exampleRoot = "root=PARTUUID=60c24cc1-f3f9-427a-8199-5b1ce0010001"

// exampleGUID is what exampleRoot names.
var exampleGUID = disk.GUID{0xc1, 0x4c, 0xc2, 0x60, 0xf9, 0xf3, 0x7a, 0x42, 0x81, 0x99, 0x5b, 0x1c, 0xe0, 0x01,
	0x00, 0x01}

func TestParseCmdline(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       bootOptions
	}{
		{"root A of an image", "console=ttyAMA0 console=ttyO0,115200 " + exampleRoot +
			"/PARTNROFF=1 init=/gokrazy/init rootwait panic=10\n   ",
			bootOptions{rootName{exampleGUID, 1}, "/gokrazy/init"}},
		{"root B, marked by gokrazy", exampleRoot + "/PARTNROFF=2 gokrazy.try_boot_inactive=1",
			bootOptions{rootName{exampleGUID, 2}, "/gokrazy/init"}},
		{"no offset", exampleRoot, bootOptions{rootName{exampleGUID, 0}, "/gokrazy/init"}},
		{"capitals", strings.ToUpper(exampleRoot[len("root=PARTUUID="):]) + " root=PARTUUID=" +
			strings.ToUpper(exampleRoot[len("root=PARTUUID="):]),
			bootOptions{rootName{exampleGUID, 0}, "/gokrazy/init"}},
		{"the last of two counts, as in the kernel", "root=/dev/sda1 init=/a " + exampleRoot + " init=/b",
			bootOptions{rootName{exampleGUID, 0}, "/b"}},
		{"an init that is no path", exampleRoot + " init=sh", bootOptions{rootName{exampleGUID, 0}, "/gokrazy/init"}},
	} {
		if got, err := parseCmdline(c.line); err != nil || got != c.want {
			t.Errorf("%s: parseCmdline(%q) = %v, %v, want %v", c.name, c.line, got, err, c.want)
		}
	}
}

func TestParseCmdlineSaysWhatItWants(t *testing.T) {
	for _, c := range []struct{ name, line string }{
		{"nothing", ""},
		{"a device", "root=/dev/mmcblk0p2"},
		{"an MBR's partition", "root=PARTUUID=60c24cc1-02"},
		{"an offset that is none", exampleRoot + "/PARTNROFF=x"},
		{"an offset beyond any table", exampleRoot + "/PARTNROFF=128"},
		{"a negative offset", exampleRoot + "/PARTNROFF=-1"},
		{"something behind the GUID", exampleRoot + "x"},
	} {
		if got, err := parseCmdline(c.line); !errors.Is(err, errBadRoot) {
			t.Errorf("%s: parseCmdline(%q) = %v, %v, want errBadRoot", c.name, c.line, got, err)
		}
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(exampleRoot + "/PARTNROFF=1 init=/gokrazy/init")
	f.Add("root=PARTUUID=/PARTNROFF=")
	f.Fuzz(func(t *testing.T, line string) {
		w, err := parseCmdline(line)
		if err == nil && (w.root.offset < 0 || w.root.offset > 127 || !strings.HasPrefix(w.init, "/")) {
			t.Errorf("parseCmdline(%q) = %v", line, w)
		}
	})
}
