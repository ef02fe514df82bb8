package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

// fakeZImage packs a text as the kernel's build packs a kernel, behind the decoy that
// every zImage has: the unpacking program's own text of xz's magic.
func fakeZImage(t testing.TB, text string) []byte {
	t.Helper()
	imagetest.Need(t, "xz")
	cmd := exec.Command("xz", "--check=crc32", "--arm", "--lzma2=dict=32MiB", "--stdout")
	cmd.Stdin = bytes.NewReader([]byte(text))
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 64)
	binary.LittleEndian.PutUint32(head[zImageMagicAt:], zImageMagic)
	head = append(head, "…\xfd7zXZ\x00\x00\x00XZ decompressor ran out of memory"...)
	return append(append(head, packed...), "end of the zImage"...)
}

func TestKernelReleaseLooksIntoAZImage(t *testing.T) {
	image := fakeZImage(t, "code\x00Linux version %s\x00Linux version 6.1.0-50-armmp (somebody) #1 SMP")
	if got, err := KernelRelease(image); got != "6.1.0-50-armmp" || err != nil {
		t.Errorf("KernelRelease = %q, %v", got, err)
	}
}

func TestDamagedZImageIsAnErrorAndNoPanic(t *testing.T) {
	good := fakeZImage(t, "Linux version 6.1.0 (somebody)")
	at := bytes.LastIndex(good, []byte(xzMagic))
	for name, change := range map[string]func([]byte) []byte{
		"no xz at all":           func(b []byte) []byte { return b[:at] },
		"ends in the headers":    func(b []byte) []byte { return b[:at+xzHeader+3] },
		"ends in the data":       func(b []byte) []byte { return b[:at+xzHeader+16] },
		"checksum of the header": func(b []byte) []byte { b[at+xzHeader+5] ^= 1; return b },
	} {
		if got, err := KernelRelease(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: KernelRelease = %q", name, got)
		}
	}
	if _, err := unpackZImage(good[:at]); !errors.Is(err, errNoXZ) {
		t.Errorf("unpackZImage without xz: %v, want %v", err, errNoXZ)
	}
}

func TestXZDictionaryHasALimit(t *testing.T) {
	for bits, want := range map[byte]bool{0: true, 0x1a: true, 28: true, 29: false, 40: false, 41: false} {
		if size, ok := xzDictionary(bits); ok != want {
			t.Errorf("xzDictionary(%d) = %d, %t, want %t", bits, size, ok, want)
		}
	}
	if size, _ := xzDictionary(0x1a); size != 32<<20 {
		t.Errorf("xzDictionary(0x1a) = %d, want 32 MiB", size)
	}
}

func FuzzUnpackZImage(f *testing.F) {
	f.Add([]byte(xzMagic))
	if _, err := exec.LookPath("xz"); err == nil {
		f.Add(fakeZImage(f, "Linux version 6.1.0 (somebody)"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		if kernel, err := unpackZImage(b); len(kernel) > maxKernel {
			t.Errorf("%d bytes, %v", len(kernel), err)
		}
	})
}

// The kernel that the board really gets.
func TestReleaseOfDebiansKernel(t *testing.T) {
	p := boneParts(t)
	b, err := os.ReadFile(filepath.Join(p.Kernel.Folder, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	release, err := KernelRelease(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.Kernel.Folder, "lib/modules", release, "modules.builtin")); err != nil {
		t.Errorf("KernelRelease = %q: %v", release, err)
	}
}
