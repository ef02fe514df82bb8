// Uncompressed formats against a plain loop.

package convert

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestUncompressedFormatsMatchAPlainLoop(t *testing.T) {
	for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.UYVY, pixfmt.NV12, pixfmt.YU12} {
		for _, size := range [][3]int{ // width, height, stride; 0: the least
			{640, 480, 0}, {34, 18, 0}, {34, 18, 96}, {2, 2, 0}, {2, 2, 64}, {1280, 720, 2688},
		} {
			l := newLayout(t, format, size[0], size[1], size[2])
			buf := fillNoise(guardedBytes(t, l.RequiredBytes())) // no padding behind the last row
			got, want := newPicture(l.Width, l.Height), newPicture(l.Width, l.Height)
			if err := openConverter(t, l).Convert(got, buf); err != nil {
				t.Errorf("%v: %v", l, err)
			}
			convertPlainly(want, l, buf)
			if plane, x, y, ok := firstDifference(got, want); !ok {
				t.Errorf("%v stride %d: plane %s differs from the plain loop at %d,%d", l, l.Stride, plane, x, y)
			}
		}
	}
}

func TestConvertTouchesOnlyThePictureItIsGiven(t *testing.T) {
	l := newLayout(t, pixfmt.YUYV, 34, 18, 0)
	large := newPicture(80, 60)
	inside := image.Rect(10, 20, 44, 38)
	part := large.SubImage(inside).(*image.YCbCr)
	if err := openConverter(t, l).Convert(part, fillNoise(make([]byte, l.Size))); err != nil {
		t.Fatal(err)
	}
	for y := range 60 {
		for x := range 80 {
			if !image.Pt(x, y).In(inside) && large.Y[large.YOffset(x, y)] != 0 {
				t.Fatalf("luma written at %d,%d, outside", x, y)
			}
		}
	}
}

func TestConvertAllocatesNothing(t *testing.T) {
	for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.UYVY, pixfmt.NV12, pixfmt.YU12, pixfmt.MJPG} {
		l := newLayout(t, format, 96, 64, 0)
		c, dst, buf := openConverter(t, l), newPicture(96, 64), make([]byte, l.Size)
		if format == pixfmt.MJPG {
			buf = readFace(t, "422")
		}
		if got := testing.AllocsPerRun(20, func() {
			if err := c.Convert(dst, buf); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%v: %v allocations, want 0", l, got)
		}
	}
}

func TestAliasIsTheBufferItself(t *testing.T) {
	l := newLayout(t, pixfmt.YU12, 34, 18, 48)
	c, buf := openConverter(t, l), fillNoise(make([]byte, l.Size+7))
	p, ok := c.AliasBuffer(buf)
	if !ok || &p.Y[0] != &buf[0] {
		t.Fatalf("AliasBuffer = %v, want a picture over the buffer", ok)
	}
	want := newPicture(34, 18)
	convertPlainly(want, l, buf)
	if plane, x, y, ok := firstDifference(p, want); !ok {
		t.Errorf("plane %s differs at %d,%d", plane, x, y)
	}
	if err := CheckPicture(p, 34, 18); err != nil {
		t.Error(err)
	}
	if got := testing.AllocsPerRun(20, func() { c.AliasBuffer(buf) }); got != 0 {
		t.Errorf("AliasBuffer: %v allocations, want 0", got)
	}
	if _, ok := c.AliasBuffer(buf[:l.Size-1]); ok {
		t.Error("AliasBuffer of a short buffer succeeded")
	}
	if _, ok := openConverter(t, newLayout(t, pixfmt.NV12, 34, 18, 0)).AliasBuffer(buf); ok {
		t.Error("AliasBuffer of NV12 succeeded")
	}
}

func TestShortBuffersAndWrongPicturesAreRefused(t *testing.T) {
	for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.UYVY, pixfmt.NV12, pixfmt.YU12} {
		l := newLayout(t, format, 34, 18, 0)
		c := openConverter(t, l)
		for _, n := range []int{0, 1, l.RequiredBytes() - 1} {
			if err := c.Convert(newPicture(34, 18), make([]byte, n)); err == nil || errors.Is(err, ErrBadJPEG) {
				t.Errorf("%v: buffer of %d bytes: %v", l, n, err)
			}
		}
		for name, p := range map[string]*image.YCbCr{
			"nil": nil, "zero": {}, "larger": newPicture(36, 18),
			"4:2:2": image.NewYCbCr(image.Rect(0, 0, 34, 18), image.YCbCrSubsampleRatio422),
		} {
			if err := c.Convert(p, make([]byte, l.Size)); err == nil {
				t.Errorf("%v into a picture that is %s: no error", l, name)
			}
		}
	}
}

func TestNewRefusesLayoutsThatDoNotFit(t *testing.T) {
	for _, l := range []pixfmt.Layout{{}, {Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 640, Size: 1},
		{Format: pixfmt.MJPG, Width: 1 << 20, Height: 1 << 20, Size: 1 << 20}} {
		if c, err := New(l); err == nil {
			c.Close()
			t.Errorf("New(%+v) succeeded", l)
		}
	}
}

func TestClosedConverterSaysSo(t *testing.T) {
	for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.MJPG} {
		l := newLayout(t, format, 34, 18, 0)
		c := openConverter(t, l)
		c.Close()
		c.Close()
		if err := c.Convert(newPicture(34, 18), make([]byte, l.Size)); !errors.Is(err, ErrClosed) {
			t.Errorf("%v: %v, want ErrClosed", l, err)
		}
	}
}

func FuzzYUYVOfAnySizeIsConvertedOrRefused(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint16(4), uint16(2), uint16(8))
	f.Add(bytes.Repeat([]byte{1, 2}, 3000), uint16(34), uint16(18), uint16(80))
	f.Fuzz(func(t *testing.T, buf []byte, width, height, stride uint16) {
		l, err := pixfmt.New(pixfmt.YUYV, int(width), int(height), int(stride))
		if err != nil || l.Size > 1<<20 {
			return
		}
		room := guardedBytes(t, len(buf))
		copy(room, buf)
		got, want := guardedPicture(t, l.Width, l.Height), newPicture(l.Width, l.Height)
		err = openConverter(t, l).Convert(got, room)
		if (err == nil) != (len(buf) >= l.RequiredBytes()) {
			t.Fatalf("%v: buffer of %d bytes, a picture is %d: %v", l, len(buf), l.RequiredBytes(), err)
		}
		if err != nil {
			return
		}
		convertPlainly(want, l, buf)
		if plane, x, y, ok := firstDifference(got, want); !ok {
			t.Errorf("%v: plane %s differs at %d,%d", l, plane, x, y)
		}
	})
}

func ExampleErrBadJPEG() {
	l, _ := pixfmt.New(pixfmt.MJPG, 640, 480, 0)
	c, _ := New(l)
	defer c.Close()
	err := c.Convert(newPicture(640, 480), []byte("\xff\xd8 cut on the bus"))
	fmt.Println(errors.Is(err, ErrBadJPEG), err)
	// Output: true convert MJPG 640x480 of 17 bytes: bad JPEG: ends too early
}
