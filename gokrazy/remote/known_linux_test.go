package remote

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

func TestUnderSudoTheCallersFileIsUsed(t *testing.T) {
	need.Root(t, "sudo makes root of the caller")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	nobodys, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SUDO_UID", nobodys.Uid)
	dir, id, err := sudoersFolder()
	if err != nil || !strings.HasPrefix(dir, nobodys.HomeDir) || strconv.Itoa(id) != nobodys.Uid {
		t.Errorf("sudoersFolder = %q, %d, %v, want one of %s in %s", dir, id, err, nobodys.Uid, nobodys.HomeDir)
	}
	path := filepath.Join(t.TempDir(), "config", "krazycam", "boards.json")
	k := &Known{path: path, owner: id}
	if err := k.Remember("cam", strings.Repeat("a", 64)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		info, err := os.Stat(name)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(id) {
			t.Errorf("%s belongs to somebody else: %v", name, err)
		}
	}
	t.Setenv("SUDO_UID", "")
	if dir, id, err := sudoersFolder(); dir != "" || id != nobody || err != nil {
		t.Errorf("without sudo: %q, %d, %v", dir, id, err)
	}
}
