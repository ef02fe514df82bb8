// Where this board runs: the card, the slot that is mounted at /, the slot that is promoted, and how
// this model tries the other one.
// Source: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-block

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// A place is where a board runs.
type place struct {
	board, model string // board.Board.Name; what the device tree says
	trial        board.Trial
	disk         string    // the card's node, such as /dev/mmcblk0
	running      slot.Name // never taken from the command line, which may be an older slot's
	promoted     slot.Name
	flaw         string // why a trial would be in vain here; ""
}

// onTrial says that the running slot starts no second time by itself.
func (p place) onTrial() bool { return p.running != p.promoted }

// findPlace reads all of it. With an error it gives what is known; slots may be None then.
func findPlace() (place, error) {
	p := place{board: boardName(runtime.GOARCH), model: deviceTree("model")}
	p.trial = trialOf(p.board, p.model)
	p.flaw = loaderFlaw(p.trial, loaderCell)
	major, minor, err := rootDevice()
	if err != nil {
		return p, err
	}
	sys := os.DirFS("/sys")
	if p.running, err = runningSlot(sys, major, minor); err != nil {
		return p, err
	}
	p.promoted = p.running
	disk, err := findDisk(sys, major, minor)
	if err != nil {
		return p, err
	}
	name, err := deviceName(sys, disk)
	if err != nil {
		return p, err
	}
	p.disk = "/dev/" + name
	return p, p.withCard(func(c *slot.Card) error {
		promoted, err := c.Promoted(p.trial)
		if promoted.Valid() {
			p.promoted = promoted
		}
		return err
	})
}

// withCard opens what says which slot starts, and calls use. The boot partition must not be mounted
// for writing meanwhile.
func (p place) withCard(use func(*slot.Card) error) (err error) {
	d, err := slot.OpenDevice(p.disk, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	c, err := slot.Open(d, d.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", p.disk, err)
	}
	return use(c)
}

// boardName is the board of the image, by the processor that this program is for.
func boardName(arch string) string {
	if arch == "arm" {
		arch = "armv7"
	}
	for _, b := range board.All() {
		if b.Arch == arch {
			return b.Name
		}
	}
	return ""
}

// trialOf says how a slot is tried; "": nobody knows, and the board takes no update. Every machine
// that starts the BeagleBone's image does so by U-Boot's script, QEMU's too.
func trialOf(boardName, model string) board.Trial {
	if t := board.DetectModel(model).Trial; t != "" {
		return t
	}
	if b, err := board.ByName(boardName); err == nil && b.Loader == board.UBoot {
		return board.UBootTry
	}
	return ""
}

// deviceTree reads a property of the root node, such as model or serial-number; "" without one.
func deviceTree(property string) string {
	b, err := openfile.Read("/proc/device-tree/"+property, 1<<10)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00\n ")
}

// runningSlot is the slot whose root is the partition major:minor.
func runningSlot(sys fs.FS, major, minor uint32) (slot.Name, error) {
	file := fmt.Sprintf("dev/block/%d:%d/partition", major, minor)
	b, err := fs.ReadFile(sys, file)
	if err != nil {
		return slot.None, fmt.Errorf("running slot: %w", err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return slot.None, fmt.Errorf("running slot: /sys/%s: %w", file, err)
	}
	n, err := slot.OfPartition(number)
	if err != nil {
		return slot.None, fmt.Errorf("running slot: %w", err)
	}
	return n, nil
}

// findDisk gives the folder below sys of the disk that has the partition major:minor.
func findDisk(sys fs.FS, major, minor uint32) (string, error) {
	link := fmt.Sprintf("dev/block/%d:%d", major, minor)
	target, err := fs.ReadLink(sys, link)
	if err != nil {
		return "", fmt.Errorf("root device: %w", err)
	}
	// ../../devices/platform/…/block/mmcblk0/mmcblk0p2: the parent is the disk.
	return path.Dir(path.Join(path.Dir(link), target)), nil
}
