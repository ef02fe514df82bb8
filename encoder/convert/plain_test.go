// What the tests share: buffers, pictures, and the conversion as a plain loop, whose result the
// libraries must have.

package convert

import (
	"image"
	"os"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func newLayout(t testing.TB, f pixfmt.FourCC, width, height, stride int) pixfmt.Layout {
	t.Helper()
	l, err := pixfmt.New(f, width, height, stride)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openConverter(t testing.TB, l pixfmt.Layout) *Converter {
	t.Helper()
	c, err := New(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newPicture(width, height int) *image.YCbCr {
	return image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
}

// fillNoise fills b from a fixed congruence.
func fillNoise(b []byte) []byte {
	n := uint32(1)
	for i := range b {
		n = n*1664525 + 1013904223
		b[i] = byte(n >> 24)
	}
	return b
}

// guardedBytes returns n bytes right before a page that nobody may touch: a read beyond
// the buffer ends the test.
func guardedBytes(t testing.TB, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) &^ (page - 1)
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return m[size-n : size : size]
}

// convertPlainly converts as the V4L2 documentation describes it, a sample at a time. Chroma of
// 4:2:2 is the rounded mean of two rows.
func convertPlainly(dst *image.YCbCr, l pixfmt.Layout, buf []byte) {
	p, _ := l.Planes()
	for y := range l.Height {
		for x := range l.Width {
			dst.Y[y*dst.YStride+x] = luma(l, buf[y*l.Stride:], x)
		}
	}
	for y := range l.Height / 2 {
		for x := range l.Width / 2 {
			var u, v byte
			switch l.Format {
			case pixfmt.YUYV:
				u = meanOfRows(buf, 2*y*l.Stride+4*x+1, l.Stride)
				v = meanOfRows(buf, 2*y*l.Stride+4*x+3, l.Stride)
			case pixfmt.UYVY:
				u = meanOfRows(buf, 2*y*l.Stride+4*x, l.Stride)
				v = meanOfRows(buf, 2*y*l.Stride+4*x+2, l.Stride)
			case pixfmt.NV12:
				u, v = buf[p[1].Offset+y*p[1].Stride+2*x], buf[p[1].Offset+y*p[1].Stride+2*x+1]
			case pixfmt.YU12:
				u, v = buf[p[1].Offset+y*p[1].Stride+x], buf[p[2].Offset+y*p[2].Stride+x]
			}
			dst.Cb[y*dst.CStride+x], dst.Cr[y*dst.CStride+x] = u, v
		}
	}
}

func luma(l pixfmt.Layout, row []byte, x int) byte {
	switch l.Format {
	case pixfmt.YUYV:
		return row[2*x]
	case pixfmt.UYVY:
		return row[2*x+1]
	}
	return row[x]
}

func meanOfRows(b []byte, i, below int) byte { return byte((int(b[i]) + int(b[i+below]) + 1) / 2) }

// firstDifference returns the plane and place of the first difference; ok if there is none.
func firstDifference(a, b *image.YCbCr) (plane string, x, y int, ok bool) {
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			if a.Y[y*a.YStride+x] != b.Y[y*b.YStride+x] {
				return "Y", x, y, false
			}
			if i, j := y/2*a.CStride+x/2, y/2*b.CStride+x/2; a.Cb[i] != b.Cb[j] || a.Cr[i] != b.Cr[j] {
				return "Cb or Cr", x / 2, y / 2, false
			}
		}
	}
	return "", 0, 0, true
}
