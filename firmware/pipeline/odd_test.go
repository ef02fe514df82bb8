// Cameras whose JPEGs are odd, from the driver's buffer to the picture.

package pipeline

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

// captureJPEGs has a camera deliver a buffer several times, and returns how many became pictures
// and how many did not.
func captureJPEGs(t *testing.T, b []byte, width, height, times int) (pictures, unreadable int64) {
	t.Helper()
	camera, err := v4l2.OpenDriver(v4l2test.New(t, v4l2test.Step{Buf: b, Repeat: times}),
		v4l2.Request{Width: width, Height: height, Format: pixfmt.MJPG})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := newTestPipeline(t, camera.Layout())
	p.active.Store(true)
	if err := p.Capture(camera, nil); !errors.Is(err, v4l2.ErrSilent) {
		t.Errorf("Capture = %v, want ErrSilent at the script's end", err)
	}
	if err := camera.Close(); err != nil {
		t.Error(err)
	}
	return p.stages.Convert.Count(), p.stages.Unreadable.Load()
}

func TestEveryPictureOfAnOddCameraBecomesOne(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("../../encoder/convert/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := read("case-whole.jpg")
	restart := read("case-restart-markers.jpg")
	fields := read("case-two-fields.jpg")
	const times = 20
	for _, c := range []struct {
		name string
		b    []byte
		want int64 // pictures
	}{
		{"as it should be", whole, times},
		{"restart markers", restart, times},
		{"no Huffman tables", read("case-no-dht.jpg"), times},
		{"no end marker", whole[:len(whole)-2], times},
		{"4096 zeros behind it", slices.Concat(whole, make([]byte, 4096)), times},
		{"513 bytes behind it", slices.Concat(whole, bytes.Repeat([]byte{1, 2, 3}, 171)), times},
		{"the tail of a longer picture behind it", slices.Concat(whole, whole[20000:]), times},
		{"two fields", fields, times},
		{"1,012 bytes lost", slices.Delete(bytes.Clone(whole), 20000, 21012), 0},
		{"1,012 bytes lost where there are restart markers", slices.Delete(bytes.Clone(restart), 20000, 21012), 0},
		{"the end lost", whole[:30000], 0},
		{"the second field lost", fields[:30000], 0},
	} {
		pictures, unreadable := captureJPEGs(t, c.b, 640, 480, times)
		if pictures != c.want || pictures+unreadable != times {
			t.Errorf("%s: %d pictures and %d unreadable, want %d of %d", c.name, pictures, unreadable, c.want, times)
		}
	}
}
