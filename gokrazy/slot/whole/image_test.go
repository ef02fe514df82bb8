package whole_test

import (
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
)

// The slot of an image that scripts/image makes is whole by the same rules as an update's.
func TestTheSlotOfABuiltImageIsWhole(t *testing.T) {
	for _, b := range board.All() {
		path := "../../../out/" + b.Name + ".img"
		need.File(t, path, "build it with scripts/image "+b.Name)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		boot, _, err := card.OpenBoot(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		files, err := fs.Sub(boot, slot.A.Folder())
		if err != nil {
			t.Fatal(err)
		}
		table, err := disk.ReadTable(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		p := table.Partitions[card.RootA]
		root, err := disk.OpenSquashFS(io.NewSectionReader(f, p.Start, p.Size), p.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := whole.Check(b, slot.A, files, root); err != nil {
			t.Errorf("%s: %v", b.Name, err)
		}
		c, err := slot.Open(onlyReads{f}, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		says := c.Pointers()
		if says.UBoot != slot.A || says.Try != slot.None || says.Damaged != nil || c.CheckSwitch() != nil ||
			b.Loader == board.PiFirmware && (says.Firmware != slot.A || says.Tryboot != slot.B) {
			t.Errorf("%s: the card says %+v, %v", b.Name, says, c.CheckSwitch())
		}
	}
}

// onlyReads is a Disk that nothing is written to.
type onlyReads struct{ *os.File }

func (onlyReads) WriteAt([]byte, int64) (int, error) { return 0, os.ErrPermission }
