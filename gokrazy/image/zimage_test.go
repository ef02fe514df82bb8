package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// wholeZImage is the header of a zImage and as many bytes as it says that there are.
func wholeZImage() []byte {
	b := make([]byte, 4096)
	for at, word := range map[int]uint32{0x24: zImageMagic, 0x2c: uint32(len(b)), 0x30: zImageOrder} {
		binary.LittleEndian.PutUint32(b[at:], word)
	}
	return b
}

func TestWholeZImageDoesNotSayItsRelease(t *testing.T) {
	for name, b := range map[string][]byte{
		"as it was built":             wholeZImage(),
		"with a device tree behind":   append(wholeZImage(), "a device tree"...),
		"with a banner that is plain": append(wholeZImage(), "Linux version 6.1.0 (somebody)"...),
	} {
		if got, err := KernelRelease(b); !errors.Is(err, ErrPackedKernel) {
			t.Errorf("%s: KernelRelease = %q, %v, want %v", name, got, err, ErrPackedKernel)
		}
	}
}

func TestDamagedZImageIsAnErrorAndNoPanic(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cut short by a byte":    func(b []byte) []byte { return b[:len(b)-1] },
		"ends behind the header": func(b []byte) []byte { return b[:zImageHeader] },
		"ends in the header":     func(b []byte) []byte { return b[:zImageHeader-1] },
		"ends before its start":  func(b []byte) []byte { b[0x2b] = 1; return b },
		"the other order":        func(b []byte) []byte { b[0x30] = 4; return b },
	} {
		if got, err := KernelRelease(change(wholeZImage())); err == nil || errors.Is(err, ErrPackedKernel) {
			t.Errorf("%s: KernelRelease = %q, %v, want an error", name, got, err)
		}
	}
}

// unpackZImage gives the kernel inside, with xz. The unpacking program has the mark of an
// xz stream in it, too, as a text.
func unpackZImage(t *testing.T, b []byte) []byte {
	t.Helper()
	need.Tools(t, "xz")
	const mark = "\xfd7zXZ\x00"
	for {
		at := bytes.Index(b, []byte(mark))
		if at < 0 {
			t.Fatal("no xz stream in the zImage")
		}
		cmd := exec.Command("xz", "--decompress", "--stdout", "--single-stream")
		cmd.Stdin = bytes.NewReader(b[at:])
		if kernel, err := cmd.Output(); err == nil {
			return kernel
		}
		b = b[at+len(mark):]
	}
}

// The kernel that the board really gets says the release that its image is taken to have.
func TestReleaseOfDebiansKernel(t *testing.T) {
	p := boneParts(t)
	b, err := os.ReadFile(filepath.Join(p.Kernel.Folder, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	says, err := KernelRelease(unpackZImage(t, b))
	if err != nil {
		t.Fatal(err)
	}
	var m material
	if err := m.readKernel(boneBoard(t), p); err != nil || m.release != says {
		t.Errorf("release %q, %v; the kernel says %q", m.release, err, says)
	}
}
