package initramfs

import (
	"bytes"
	"compress/gzip"
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

func TestCpioListsAllThatBuildWrote(t *testing.T) {
	_, packed, err := build(t, exampleTree, "mc", "uvc-video")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(tool(t, "", unpack(t, packed), "cpio", "-itv", "--quiet")) {
		f := strings.Fields(line)
		got = append(got, f[0]+" "+f[len(f)-1])
	}
	want := []string{
		"drwxr-xr-x dev", "crw------- dev/console", "drwxr-xr-x proc", "drwxr-xr-x root", "drwxr-xr-x sys",
		"-rwxr-xr-x init",
		"drwxr-xr-x early", "-r--r--r-- early/000-mc.ko",
		"drwxr-xr-x late", "-r--r--r-- late/000-video-dev.ko", "-r--r--r-- late/001-late-friend.ko",
		"-r--r--r-- late/002-uvc-video.ko",
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCpioUnpacksTheArchive(t *testing.T) {
	_, packed, err := build(t, exampleTree, "mc", "uvc-video")
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
	tool(t, dir, plain, "cpio", "-i", "--quiet", "--make-directories", "init", "early/*", "late/*")
	for file, module := range map[string]string{
		"early/000-mc.ko": "mc", "late/000-video-dev.ko": "video-dev", "late/001-late-friend.ko": "late-friend",
		"late/002-uvc-video.ko": "uvc-video",
	} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || len(got) == 0 || !bytes.Equal(got, exampleTree["kernel/media/"+module+".ko"].Data) {
			t.Errorf("cpio unpacked other bytes of %s: %v", file, err)
		}
	}
}
