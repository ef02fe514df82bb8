// Board bbb: its image of real kernel and loaders, and small programs in place of ours,
// read back.

package inspect

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

func TestBoneImageIsReadBackAsItWasBuilt(t *testing.T) {
	p, built := imagetest.Bone(t), boneImage(t)
	if again := build(t, "bbb", p, filepath.Join(t.TempDir(), "again.img")); again.SHA256 != built.SHA256 {
		t.Errorf("sha256 %s, then %s", built.SHA256, again.SHA256)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) != 0 || r.Board != "bbb" || r.Loader != "U-Boot" || r.Kernel != built.Kernel ||
		len(r.Slots[0].Modules) != 0 {
		t.Errorf("%+v", r)
	}
	if !strings.HasPrefix(r.Cmdline, "console=") || built.Initrd == 0 || built.Modules < 40 {
		t.Errorf("command line %q, %+v", r.Cmdline, built)
	}
	for i, name := range []string{"MLO", "u-boot.img"} {
		want, err := os.ReadFile(filepath.Join(p.Firmware.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		readAt(t, built.Image, got, []int64{128 << 10, 384 << 10}[i])
		if name == "u-boot.img" {
			if want, err = uboot.Unattended(want, "mmc0"); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not where the boot ROM looks", name)
		}
		if raw := r.Raw[i]; raw.Name != name || raw.Size != int64(len(want)) {
			t.Errorf("inspect says %+v of %s with %d bytes", raw, name, len(want))
		}
	}
	for tool, args := range map[string][]string{"sgdisk": {"-v", built.Image},
		"fsck.fat": {"-n", bootPartition(t, built.Image)}} {
		need.Tools(t, tool)
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", tool, err, out)
		}
	}
}

// bootPartition copies it into a file.
func bootPartition(t *testing.T, image string) string {
	t.Helper()
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.Boot]
	b := make([]byte, p.Size)
	readAt(t, image, b, p.Start)
	file := filepath.Join(t.TempDir(), "boot")
	imagetest.Put(t, b, file)
	return file
}

func readAt(t testing.TB, file string, b []byte, at int64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestInspectNoticesABoneThatCannotBoot(t *testing.T) {
	built := boneImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 128<<10), 128<<10); err != nil { // MLO
		t.Fatal(err)
	}
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := boot.Extent(card.BootScriptName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("reset"), start+at+64+8); err != nil {
		t.Fatal(err)
	}
	r, err := examineFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Problems, "\n"); !strings.Contains(got, "no MLO") ||
		!strings.Contains(got, "boot.scr is none for U-Boot, or damaged") {
		t.Errorf("problems: %s", got)
	}
}

func TestInspectDoesNotGuessTheReleaseOfAKernelThatTheListDoesNotName(t *testing.T) {
	built := boneImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := boot.Extent("a/" + board.KernelName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("another"), start+at+1<<20); err != nil {
		t.Fatal(err)
	}
	r, err := examineFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Problems, "\n"); r.Kernel != "" || !strings.Contains(got, "its release is unknown") {
		t.Errorf("kernel %q, problems: %s", r.Kernel, got)
	}
}
