package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
)

func TestBoardIsRestartedAtMostOnceAnHourAndOnlyOnAWish(t *testing.T) {
	dir := t.TempDir()
	wish, link := filepath.Join(dir, "restart"), filepath.Join(dir, "link")
	writeSecret(t, wish)
	if err := os.Symlink(wish, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		wish string
		up   time.Duration
		want bool
	}{
		{"a wish after an hour", wish, time.Hour, true},
		{"a wish before", wish, time.Hour - time.Second, false},
		{"none", filepath.Join(dir, "none"), 24 * time.Hour, false},
		{"a folder", dir, 24 * time.Hour, false},
		{"a link", link, 24 * time.Hour, false},
	} {
		if got := isRestartDue(c.wish, c.up); got != c.want {
			t.Errorf("%s: due = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFolderOfTheRequestLetsOthersThroughAndHidesItsNames(t *testing.T) {
	need.Root(t, "the folder is given to another user")
	dir := filepath.Join(t.TempDir(), "camsource")
	if err := makeRequestFolder(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o711 || info.Sys().(*syscall.Stat_t).Uid != board.SourceUser {
		t.Errorf("mode %v, %v, want 0711 and camsource's", info.Mode(), err)
	}
}
