// The images that the tests read: built once for each run.

package inspect

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/image"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestMain(m *testing.M) { imagetest.Main(m) }

// build makes an image for the board of that name.
func build(t testing.TB, name string, p imagetest.Parts, path string) image.Result {
	t.Helper()
	b, err := board.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	parts := image.Parts{
		Programs: p.Programs, Kernel: image.Package(p.Kernel), Firmware: image.Package(p.Firmware),
		UBoot:    image.Package(p.UBoot),
		Licences: imagetest.Licences, Pins: []byte(imagetest.Pins),
	}
	r, err := image.Build(context.Background(), b, parts, path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// builtImage is an image that is built by the first test that asks. It must not be changed.
func builtImage(t testing.TB, name string, parts func(testing.TB) imagetest.Parts) (r image.Result) {
	t.Helper()
	path := filepath.Join(imagetest.Folder(), name+".img")
	b, err := os.ReadFile(path + ".json")
	if err != nil {
		r := build(t, name, parts(t), path)
		if b, err = json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		imagetest.Put(t, b, path+".json")
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// piImage is an image for board rpi. It must not be changed.
func piImage(t testing.TB) image.Result {
	t.Helper()
	return builtImage(t, "rpi", imagetest.Pi)
}

// ownImage is a copy of the same.
func ownImage(t testing.TB) image.Result {
	t.Helper()
	r := piImage(t)
	r.Image = imagetest.Clone(t, r.Image)
	return r
}

// boneImage is a copy of an image for board bbb.
func boneImage(t testing.TB) image.Result {
	t.Helper()
	r := builtImage(t, "bbb", imagetest.Bone)
	r.Image = imagetest.Clone(t, r.Image)
	return r
}
