package image

import (
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestMain(m *testing.M) { imagetest.Main(m) }

func boardNamed(t testing.TB, name string) board.Board {
	t.Helper()
	b, err := board.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func piBoard(t testing.TB) board.Board {
	t.Helper()
	return boardNamed(t, "rpi")
}

func boneBoard(t testing.TB) board.Board {
	t.Helper()
	return boardNamed(t, "bbb")
}

// fakeParts is everything that an image of board rpi needs, in a new folder.
func fakeParts(t testing.TB) Parts {
	t.Helper()
	p := toParts(imagetest.Pi(t))
	p.Pins = []byte(imagetest.Pins)
	return p
}

// boneParts is everything that an image of board bbb needs; the folder of programs is
// new, those of kernel and boot firmware are the cache's.
func boneParts(t testing.TB) Parts {
	t.Helper()
	return toParts(imagetest.Bone(t))
}

func toParts(p imagetest.Parts) Parts {
	return Parts{
		Programs: p.Programs, Kernel: Package(p.Kernel), Firmware: Package(p.Firmware), UBoot: Package(p.UBoot),
		Licences: imagetest.Licences,
	}
}
