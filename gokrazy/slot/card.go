// A Card is the places on a card that say which slot starts, as they are now.

package slot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// A Disk is a whole card or an image of one. Reads and writes are of whole sectors. Sync returns
// once all that was written would outlive a power cut.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Pointers is what the places on a card say.
type Pointers struct {
	Firmware Name // os_prefix of config.txt; None where there is no such file, or it cannot be read
	Tryboot  Name // of tryboot.txt, likewise
	UBoot    Name // the state sector's slot; what U-Boot takes if the sector is damaged
	Try      Name // the state sector's trial

	// Damaged says why a place that is there could not be read. Heal mends what can be.
	Damaged []error
}

// A Card was opened; it shows what it read then, and what it wrote since. It is not safe for use
// by several goroutines, and the boot partition must not be mounted while it writes.
type Card struct {
	disk            Disk
	boot            io.ReaderAt // the boot partition
	bootSize        int64
	config, tryboot *configFile
	state           State
	stateErr        error
}

// Open reads the places that say which slot starts, on a disk of size bytes. Damage elsewhere, such
// as half a slot that a power cut left, does not disturb it. The boot partition must not be mounted
// by anything that writes.
func Open(d Disk, size int64) (*Card, error) {
	table, err := disk.ReadPrimaryTable(d, size)
	if err != nil {
		return nil, err
	}
	if len(table.Partitions) < card.Partitions {
		return nil, fmt.Errorf("card: %d partitions, want %d: %w", len(table.Partitions), card.Partitions,
			disk.ErrDamaged)
	}
	p := table.Partitions[card.Boot]
	c := &Card{disk: d, boot: io.NewSectionReader(d, p.Start, p.Size), bootSize: p.Size}
	boot, err := disk.OpenFATFolders(c.boot, c.bootSize)
	if err != nil {
		return nil, fmt.Errorf("boot partition: %w", err)
	}
	if c.config, err = openConfig(d, boot, p.Start, card.ConfigName); err != nil {
		return nil, err
	}
	if c.tryboot, err = openConfig(d, boot, p.Start, card.TrybootName); err != nil {
		return nil, err
	}
	sector := make([]byte, disk.SectorSize)
	if _, err := d.ReadAt(sector, card.StateSector*disk.SectorSize); err != nil {
		return nil, fmt.Errorf("state sector: %w", err)
	}
	c.state, c.stateErr = ParseState(sector)
	return c, nil
}

// Pointers gives what the card says.
func (c *Card) Pointers() Pointers {
	p := Pointers{UBoot: c.state.Slot, Try: c.state.Try}
	for _, f := range []struct {
		file *configFile
		slot *Name
	}{{c.config, &p.Firmware}, {c.tryboot, &p.Tryboot}} {
		if f.file == nil {
			continue
		}
		n, err := f.file.slot()
		if *f.slot = n; err != nil {
			p.Damaged = append(p.Damaged, err)
		}
	}
	if c.stateErr != nil {
		p.Damaged = append(p.Damaged, c.stateErr)
	}
	return p
}

// Promoted is the slot that a model starts without a trial, by the place that this model goes by.
func (c *Card) Promoted(t board.Trial) (Name, error) {
	switch t {
	case board.Tryboot:
		if c.config == nil {
			return None, fmt.Errorf("%s: %w", card.ConfigName, fs.ErrNotExist)
		}
		return c.config.slot()
	case board.UBootTry:
		return c.state.Slot, c.stateErr
	}
	return None, errors.New("how this model starts a slot is not known")
}

// ErrEmpty means that a slot holds nothing that could be started.
var ErrEmpty = errors.New("slot is empty")

// CheckSlot says whether the folder of a slot has a kernel and the command line for that slot's root.
// slotwriter makes a folder that is there a whole one, so this is the last look before something
// points to it, not a check of what is in it.
func (c *Card) CheckSlot(n Name) error {
	if !n.Valid() {
		return fmt.Errorf("slot %q: %w", n, ErrEmpty)
	}
	boot, err := disk.OpenFATFolders(c.boot, c.bootSize, n.Folder())
	if err != nil {
		return fmt.Errorf("slot %s: %w", n, err)
	}
	kernel, err := boot.Stat(path.Join(n.Folder(), board.KernelName))
	if err != nil || kernel.Size() == 0 {
		return fmt.Errorf("slot %s: %w: no kernel", n, ErrEmpty)
	}
	line, err := card.ReadFile(boot, path.Join(n.Folder(), card.CmdlineName), MaxCmdline)
	if err != nil {
		return fmt.Errorf("slot %s: %w", n, err)
	}
	switch names, err := CmdlineSlot(line); {
	case err != nil:
		return fmt.Errorf("slot %s: %s: %w", n, card.CmdlineName, err)
	case names != n:
		return fmt.Errorf("slot %s: %s: %w names the root of slot %s", n, card.CmdlineName, ErrCmdline, names)
	}
	return nil
}

// A configFile is config.txt or tryboot.txt.
type configFile struct {
	name string
	at   int64  // on the disk, in bytes
	text []byte // as long as the file
	room []byte // the same, with the rest of its last sector
}

// openConfig gives nil if there is no such file.
func openConfig(d Disk, boot *disk.FAT, start int64, name string) (*configFile, error) {
	at, size, err := boot.Extent(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && size > maxConfig:
		err = fmt.Errorf("%d bytes, at most %d", size, maxConfig)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sectors := (size + disk.SectorSize - 1) / disk.SectorSize
	f := &configFile{name: name, at: start + at, room: make([]byte, sectors*disk.SectorSize)}
	if _, err := d.ReadAt(f.room, f.at); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.text = f.room[:size]
	return f, nil
}

func (f *configFile) slot() (Name, error) {
	n, err := ConfigSlot(f.text)
	if err != nil {
		return None, fmt.Errorf("%s: %w", f.name, err)
	}
	return n, nil
}
