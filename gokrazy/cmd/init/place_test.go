package main

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

func TestRunningSlotIsThatOfTheMountedRoot(t *testing.T) {
	tree := sysTree("mmcblk0", "mmcblk0p1", "mmcblk0p2", "mmcblk0p3")
	const disk = "devices/platform/soc/block/mmcblk0"
	for _, minor := range []string{"1", "3"} {
		tree["dev/block/179:"+minor] = &fstest.MapFile{
			Mode: fs.ModeSymlink, Data: []byte("../../" + disk + "/mmcblk0p" + minor),
		}
	}
	for minor, want := range map[uint32]slot.Name{1: slot.None, 2: slot.A, 3: slot.B, 99: slot.None} {
		got, err := runningSlot(tree, 179, minor)
		if got != want || (err == nil) != want.Valid() {
			t.Errorf("root on 179:%d: slot %q, %v, want %q", minor, got, err, want)
		}
	}
	if got, err := findDisk(tree, 179, 3); got != disk || err != nil {
		t.Errorf("findDisk = %q, %v, want %q", got, err, disk)
	}
}

func TestEachBoardKnowsHowItTriesASlot(t *testing.T) {
	for _, c := range []struct {
		arch, model string
		board       string
		want        board.Trial
	}{
		{"arm64", "Raspberry Pi 4 Model B Rev 1.4", "rpi", board.Tryboot},
		{"arm64", "Raspberry Pi 3 Model B Rev 1.2", "rpi", board.UBootTry},
		{"arm64", "linux,dummy-virt", "rpi", ""},
		{"arm", "TI AM335x BeagleBone Black", "bbb", board.UBootTry},
		{"arm", "linux,dummy-virt", "bbb", board.UBootTry},
		{"amd64", "", "", ""},
	} {
		name := boardName(c.arch)
		if got := trialOf(name, c.model); name != c.board || got != c.want {
			t.Errorf("%s, %q: board %q tries by %q, want %q by %q", c.arch, c.model, name, got, c.board, c.want)
		}
	}
}
