package initramfs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tool runs an independent program.
func tool(t *testing.T, dir string, stdin []byte, name string, args ...string) string {
	t.Helper()
	need.Tools(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, bytes.NewReader(stdin), append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, complaint.Bytes())
	}
	return string(out)
}

func TestListReadsBackWhatBuildWrote(t *testing.T) {
	_, packed, err := build(t, exampleTree, "mc", "uvc-video")
	if err != nil {
		t.Fatal(err)
	}
	files, err := List(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s %o", f.Name, f.Mode))
		name := strings.TrimLeft(filepath.Base(f.Name), "0123456789-")
		if want, ok := exampleTree["kernel/media/"+name]; ok && !bytes.Equal(f.Bytes, want.Data) {
			t.Errorf("%s has other bytes", f.Name)
		}
	}
	want := []string{
		"dev 40755", "dev/console 20600", "proc 40755", "root 40755", "sys 40755", "init 100755",
		"early 40755", "early/000-mc.ko 100444",
		"late 40755", "late/000-video-dev.ko 100444", "late/001-late-friend.ko 100444", "late/002-uvc-video.ko 100444",
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCpioUnpacksTheArchive(t *testing.T) {
	_, packed, err := build(t, exampleTree, "mc", "")
	if err != nil {
		t.Fatal(err)
	}
	plain := unpack(t, packed)
	listing := tool(t, "", plain, "cpio", "-itv", "--quiet")
	for _, want := range []string{"crw-------   1 root     root       5,   1 Jan  1  1970 dev/console",
		"-rwxr-xr-x   1 root     root            9 Jan  1  1970 init", "early/000-mc.ko"} {
		if !strings.Contains(listing, want) {
			t.Errorf("cpio does not list %q in\n%s", want, listing)
		}
	}
	dir := t.TempDir()
	tool(t, dir, plain, "cpio", "-i", "--quiet", "--make-directories", "init", "early/*")
	got, err := os.ReadFile(filepath.Join(dir, "early", "000-mc.ko"))
	if err != nil || !bytes.Equal(got, exampleTree["kernel/media/mc.ko"].Data) {
		t.Errorf("cpio unpacked other bytes: %v", err)
	}
}

func TestListRefusesDamagedArchives(t *testing.T) {
	_, packed, err := build(t, exampleTree, "mc", "")
	if err != nil {
		t.Fatal(err)
	}
	plain := unpack(t, packed)
	changed := func(at int, s string) []byte {
		b := bytes.Clone(plain)
		copy(b[at:], s)
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"another format", changed(0, "070702")},
		{"digits that are none", changed(6+8*6, "0000000x")},
		{"a huge file", changed(6+8*6, "ffffffff")},
		{"a file longer than the archive", changed(6+8*6, "00f00000")},
		{"a name without letters", changed(6+8*11, "00000001")},
		{"no trailer", plain[:len(plain)-124]},
	} {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(c.b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if got, err := List(&z); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: List = %d files, %v, want ErrDamaged", c.name, len(got), err)
		}
	}
	if _, err := List(bytes.NewReader(plain)); !errors.Is(err, ErrDamaged) {
		t.Errorf("not gzipped: %v", err)
	}
}

func FuzzList(f *testing.F) {
	var plain bytes.Buffer
	if err := pack(&plain, []byte("init"), []module{{path: "a.ko", bytes: []byte("a")}}, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.NoCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		files, err := List(&z)
		total := 0
		for _, file := range files {
			total += len(file.Bytes)
		}
		if err == nil && total > len(b) {
			t.Errorf("%d bytes out of %d", total, len(b))
		}
	})
}
