package uboot

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestBootScriptIsWhatMkimageWrites(t *testing.T) {
	need.Tools(t, "mkimage")
	dir := t.TempDir()
	for name, text := range map[string]string{"the board's own": boardScript(t), "empty line": "\n",
		"odd length": "echo 1"} {
		source, want := filepath.Join(dir, "boot.cmd"), filepath.Join(dir, "boot.scr")
		imagetest.Put(t, []byte(text), source)
		cmd := exec.Command("mkimage", "-A", "arm", "-T", "script", "-C", "none", "-d", source, want)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mkimage: %v: %s", err, out)
		}
		b, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := Script(text); !bytes.Equal(got, b) {
			t.Errorf("%s:\n%x\nmkimage:\n%x", name, got, b)
		}
	}
}

func TestDumpimageAcceptsTheBootScript(t *testing.T) {
	need.Tools(t, "dumpimage")
	file := filepath.Join(t.TempDir(), "boot.scr")
	imagetest.Put(t, Script(boardScript(t)), file)
	out, err := exec.Command("dumpimage", "-l", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ARM Linux Script (uncompressed)") {
		t.Errorf("dumpimage -l: %v: %s", err, out)
	}
}

// boardScript is a script that ships.
func boardScript(t *testing.T) string {
	t.Helper()
	b, err := board.ByName("bbb")
	if err != nil {
		t.Fatal(err)
	}
	return b.Script
}
