//go:build linux

package losslab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2"
)

func TestClipIsPlayedForthAndBackWithANumberInEachPicture(t *testing.T) {
	dir := t.TempDir()
	film := filepath.Join(dir, "film.y4m")
	var b bytes.Buffer
	fmt.Fprintf(&b, "YUV4MPEG2 W%d H%d F30:1 C420jpeg\n", width, height)
	for i := range 3 {
		b.WriteString("FRAME\n")
		b.Write(bytes.Repeat([]byte{byte(100 + i)}, pictureBytes))
	}
	if err := os.WriteFile(film, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "clip.y4m")
	if err := WriteClip(film, path, 6); err != nil {
		t.Fatal(err)
	}
	y, err := v4l2.OpenY4M(path, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	var got []byte
	var raw bytes.Buffer
	for i := range y.Len() {
		got = append(got, y.Picture(i)[pictureBytes-1])
		raw.Write(y.Picture(i))
	}
	if want := []byte{100, 101, 102, 101, 100, 101}; !slices.Equal(got, want) {
		t.Errorf("pictures %v, want %v", got, want)
	}
	raw.Write(make([]byte, pictureBytes+5)) // a black picture, and half a picture
	var numbers []int
	sums := map[uint64]bool{}
	if err := readPictures(&raw, time.Now, func(p Picture) {
		numbers = append(numbers,
			p.Number)
		sums[p.Sum] = true
	}); err != nil {
		t.Fatal(err)
	}
	if want := []int{0, 1, 2, 3, 4, 5, -1}; !slices.Equal(numbers, want) || len(sums) != len(want) {
		t.Errorf("numbers %v with %d different sums, want %v", numbers, len(sums), want)
	}
}

func TestClipOfAnotherSizeIsRefused(t *testing.T) {
	film := filepath.Join(t.TempDir(), "film.y4m")
	if err := os.WriteFile(film, []byte("YUV4MPEG2 W4 H2 F30:1 C420jpeg\nFRAME\n............"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteClip(film, film+".out", 1); err == nil {
		t.Error("a clip of 4x2 was taken")
	}
}

func TestForthAndBackOfOnePicture(t *testing.T) {
	if got := forthAndBackIndex(7, 1); got != 0 {
		t.Errorf("forthAndBack(7, 1) = %d, want 0", got)
	}
}
