package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

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
