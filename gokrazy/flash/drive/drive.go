// Package drive knows the drives of the owner's machine: which can be taken out, what is on them, and
// which may be written. It opens one as a Target, for one process at a time.
//
// Linux is asked by its files below /sys, macOS by diskutil, Windows by PowerShell. What these say is
// parsed here, on every system, so that all of it is tested on one. A Target belongs to who has opened
// it. Sizes are in bytes.
package drive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// Refusals of Check and Open.
var (
	ErrInUse        = errors.New("card is in use")
	ErrSystem       = errors.New("this system runs from it: it is never written")
	ErrNotRemovable = errors.New("not a removable card")
	ErrNotACard     = errors.New("neither a card nor a file")
	// ErrRights: what is refused there as os.ErrPermission later is the card's matter.
	ErrRights = errors.New("only an administrator may write cards")
)

// A Drive is one that can be taken out.
type Drive struct {
	Path   string   `json:"path"` // as camctl flash takes it
	Name   string   `json:"name"` // maker and model, as far as the drive says them
	Size   int64    `json:"size"`
	Holds  []string `json:"holds"`            // file systems, such as "vfat KRAZYCAM"
	Mounts []string `json:"mounts,omitempty"` // where they are shown now
}

// String is one line for a person.
func (d Drive) String() string {
	holds := "nothing that is known here"
	if len(d.Holds) > 0 {
		holds = strings.Join(d.Holds, ", ")
	}
	name := d.Name
	if name == "" {
		name = "a drive without a name"
	}
	line := fmt.Sprintf("%s  %s, %s, holds %s", d.Path, name, sizeText(d.Size), holds)
	if len(d.Mounts) > 0 {
		line += ", open at " + strings.Join(d.Mounts, ", ")
	}
	return line
}

// sizeText is as on a card's label: 1 GB is 10^9 bytes.
func sizeText(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Describe gives the drive that a path means, as a list has it; one that is not in the list has a path alone.
func Describe(drives []Drive, path string) Drive {
	for _, d := range drives {
		if d.Path == path || d.Path == fullName(path) {
			return d
		}
	}
	return Drive{Path: path}
}

// fullName is a drive's name as lists have it.
func fullName(path string) string {
	if device, ok := namesDevice(path); ok {
		return device
	}
	if name, err := filepath.EvalSymlinks(path); err == nil { // such as those in /dev/disk/by-id
		path = name
	}
	if name, err := filepath.Abs(path); err == nil {
		return name
	}
	return path
}

// Same says whether a drive is still what a person was shown. What is on it, and where it is open, may have
// been noticed later.
func (d Drive) Same(shown Drive) bool {
	return d.Path == shown.Path && d.Name == shown.Name && d.Size == shown.Size
}

// A Target is a card, or a file in the place of one, that this process alone writes.
type Target interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync waits until the card has what was written.
	Sync() error
	// Discard says that what lies there is not needed any more. What is read there afterwards is the
	// card's choice. Most cannot do it: no error says that it is worth a try once more.
	Discard(at, size int64) error
	// DropCache makes the next read come from the card.
	DropCache() error
}

// Check refuses the image itself, and a device that holds the image or is part of this machine; the last one
// not if the owner is sure. Linux also refuses one that is mounted; macOS and Windows close its files in Open.
func Check(path string, image *os.File, sure bool) error { return rights(check(path, image, sure)) }

func rights(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %w", err, ErrRights)
	}
	return err
}

func check(path string, image *os.File, sure bool) error {
	if device, ok := namesDevice(path); ok {
		return checkDevice(device, image, sure)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	own, err := image.Stat()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case os.SameFile(info, own):
		return fmt.Errorf("%w: %s is the image itself", ErrInUse, path)
	case mode.IsRegular():
		return nil
	case mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
		return checkDevice(path, image, sure)
	}
	return fmt.Errorf("%w: %s", ErrNotACard, path)
}

// Open opens what Check has let through and gives its size.
func Open(path string) (Target, int64, error) {
	if device, ok := namesDevice(path); ok {
		target, size, err := openDevice(device)
		return target, size, rights(err)
	}
	f, size, err := openfile.Disk(path, os.O_RDWR|exclusive)
	if err != nil {
		return nil, 0, rights(inUse(err))
	}
	if err := lock(f); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return fileTarget{f}, size, nil
}

// A Source is a card, or a file in the place of one, that is read.
type Source interface {
	io.ReaderAt
	io.Closer
}

// OpenToRead opens a card and leaves it to whoever else has it. It gives its size.
func OpenToRead(path string) (Source, int64, error) {
	if device, ok := namesDevice(path); ok {
		return readDevice(device)
	}
	return openfile.Disk(path, os.O_RDONLY)
}

// notRemovable refuses a disk that is no card.
func notRemovable(path string) error {
	return fmt.Errorf("%w: %s is no card, its medium stays in it: add --built-in if you are sure that nothing on it "+
		"is needed", ErrNotRemovable, path)
}

// locked refuses a card that takes nothing.
func locked(path string) error {
	return fmt.Errorf("%w: %s cannot be written: a card has a small switch for that", ErrNotACard, path)
}

// A fileTarget is a plain file, or a device that reads and writes like one.
type fileTarget struct{ *os.File }

func (t fileTarget) Discard(at, size int64) error { return discard(t.File, at, size) }
func (t fileTarget) DropCache() error             { return dropCache(t.File) }
