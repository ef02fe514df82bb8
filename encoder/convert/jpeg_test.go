// JPEGs against image/jpeg: of every subsampling, as cameras send them, and damaged ones.

package convert

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// readFace returns testdata's 96x64 JPEG of the given subsampling.
func readFace(t testing.TB, subsampling string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/face-" + subsampling + ".jpg")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decodeWithGo decodes with image/jpeg and makes 4:2:0 of it, a sample at a time.
func decodeWithGo(t testing.TB, b []byte) *image.YCbCr {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Bounds()
	at := func(x, y int) color.YCbCr { return color.YCbCrModel.Convert(m.At(x, y)).(color.YCbCr) }
	if s, ok := m.(*image.YCbCr); ok {
		at = s.YCbCrAt
	}
	p := newPicture(r.Dx(), r.Dy())
	for y := range r.Dy() {
		for x := range r.Dx() {
			p.Y[p.YOffset(x, y)] = at(x, y).Y
			if x%2 == 0 && y%2 == 0 {
				a, b, c, d := at(x, y), at(x+1, y), at(x, y+1), at(x+1, y+1)
				p.Cb[p.COffset(x, y)] = uint8((int(a.Cb) + int(b.Cb) + int(c.Cb) + int(d.Cb) + 2) / 4)
				p.Cr[p.COffset(x, y)] = uint8((int(a.Cr) + int(b.Cr) + int(c.Cr) + int(d.Cr) + 2) / 4)
			}
		}
	}
	return p
}

func psnr(a, b []byte) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/max(sum, 1e-9))
}

func TestJPEGsOfEverySubsamplingMatchImageJPEG(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 96, 64))
	fillNoise(grey.Pix[:1000])
	var b bytes.Buffer
	if err := jpeg.Encode(&b, grey, nil); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{"grey": b.Bytes()}
	for _, s := range []string{"420", "422", "440", "444", "411"} {
		cases[s] = readFace(t, s)
	}
	for name, b := range cases {
		got, want := newPicture(96, 64), decodeWithGo(t, b)
		if err := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0)).Convert(got, b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		least := 45.0 // the two inverse transforms round differently
		for i, planes := range [3][2][]byte{{got.Y, want.Y}, {got.Cb, want.Cb}, {got.Cr, want.Cr}} {
			if i > 0 && name == "411" {
				least = 35 // two of our columns come from one: interpolated here, repeated there
			}
			if db := psnr(planes[0], planes[1]); db < least {
				t.Errorf("%s: plane %d: PSNR %.1f dB, want %.1f or more", name, i, db, least)
			}
		}
	}
}

func TestOtherWaysToCodeAPictureGiveTheSame(t *testing.T) {
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0))
	want, got := newPicture(96, 64), newPicture(96, 64)
	if err := c.Convert(want, readFace(t, "422")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"progressive", "three-scans", "restart-1", "restart-5"} {
		b := readFace(t, name)
		if err := c.Convert(got, b); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if plane, x, y, ok := firstDifference(got, want); !ok {
			t.Errorf("%s: plane %s differs at %d,%d", name, plane, x, y)
		}
		for n := 100; n < len(b)-10; n += 7 {
			if err := c.Convert(got, b[:n]); !errors.Is(err, ErrBadJPEG) {
				t.Errorf("the first %d of %d bytes of %s: %v, want ErrBadJPEG", n, len(b), name, err)
			}
		}
	}
}

func TestJPEGsAsCamerasSendThemDecode(t *testing.T) {
	whole := readFace(t, "420")
	want := newPicture(96, 64)
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0))
	if err := c.Convert(want, whole); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"no Huffman tables, as most webcams":     withoutSegments(whole, 0xc4),
		"padding behind the end":                 append(bytes.Clone(whole), make([]byte, 5000)...),
		"the next picture's start behind it":     append(bytes.Clone(whole), 0xff, 0xd8, 0xff, 0xe0),
		"two bytes too many before the end mark": append(bytes.Clone(whole[:len(whole)-2]), 0x55, 0xaa, 0xff, 0xd9),
	}
	for name, b := range cases {
		got := newPicture(96, 64)
		if err := c.Convert(got, b); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if plane, x, y, ok := firstDifference(got, want); !ok {
			t.Errorf("%s: plane %s differs at %d,%d", name, plane, x, y)
		}
	}
	if len(cases["no Huffman tables, as most webcams"]) == len(whole) {
		t.Error("the test's JPEG had no Huffman tables to take away")
	}
}

// withoutSegments takes the segments with the given marker out of a JPEG's header.
func withoutSegments(b []byte, marker byte) []byte {
	out := bytes.Clone(b[:2])
	for b = b[2:]; len(b) > 4 && b[1] != 0xda; {
		n := 2 + int(b[2])<<8 + int(b[3])
		if b[1] != marker {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return append(out, b...)
}

func TestBadJPEGsAreRefusedAndTheNextGoodOneDecodes(t *testing.T) {
	whole := readFace(t, "422")
	var png, large bytes.Buffer
	png.WriteString("\x89PNG\r\n\x1a\n")
	if err := jpeg.Encode(&large, image.NewGray(image.Rect(0, 0, 128, 64)), nil); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(whole) // SOF0's height and width, 5 bytes behind its marker
	copy(huge[bytes.Index(huge, []byte{0xff, 0xc0})+5:], "\xff\xff\xff\xff")
	rgb := bytes.Clone(readFace(t, "444"))
	sof := bytes.Index(rgb, []byte{0xff, 0xc0})
	for i := range 3 { // components named R, G, B, in the frame and in the scan
		rgb[sof+10+3*i] = "RGB"[i]
		rgb[bytes.Index(rgb, []byte{0xff, 0xda})+5+2*i] = "RGB"[i]
	}
	otherProcess := func(marker byte) []byte {
		b := bytes.Clone(whole)
		b[bytes.Index(b, []byte{0xff, 0xc0})+1] = marker
		return b
	}
	precise := bytes.Clone(whole)
	precise[bytes.Index(whole, []byte{0xff, 0xc0})+4] = 12
	cases := map[string][]byte{
		"lossless": otherProcess(0xc3), "arithmetic": otherProcess(0xc9), "progressive": otherProcess(0xc2),
		"differential": otherProcess(0xc5), "12 bits": precise,
		"nil": nil, "one byte": {0xff}, "only marks": {0xff, 0xd8, 0xff, 0xd9}, "a PNG": png.Bytes(),
		"zeros": make([]byte, 5000), "noise": fillNoise(make([]byte, 5000)),
		"another size": large.Bytes(), "65535x65535": huge, "RGB": withoutSegments(rgb, 0xe0),
		"half of it with an end": append(bytes.Clone(whole[:len(whole)/2]), 0xff, 0xd9),
	}
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0))
	for name, b := range cases {
		if err := c.Convert(newPicture(96, 64), b); !errors.Is(err, ErrBadJPEG) {
			t.Errorf("%s: %v, want ErrBadJPEG", name, err)
		}
		if err := c.Convert(newPicture(96, 64), whole); err != nil {
			t.Errorf("a good one after %s: %v", name, err)
		}
	}
}

// The decoder keeps Huffman tables for the next picture that has the same.
func TestHuffmanTablesOfOnePictureDoNotDecodeTheNext(t *testing.T) {
	whole := readFace(t, "422")
	layout := newLayout(t, pixfmt.MJPG, 96, 64, 0)
	c := openConverter(t, layout)
	refused, shown := 0, 0
	for at := bytes.Index(whole, []byte{0xff, 0xc4}); at < scanStart(whole); at++ {
		changed, moved := bytes.Clone(whole), bytes.Clone(whole)
		changed[at] ^= 1 << (at % 8)
		moved[at-1]++ // among the counts: a code becomes shorter
		moved[at]--
		for _, b := range [][]byte{changed, whole, moved, whole} {
			want, got := newPicture(96, 64), newPicture(96, 64)
			wantErr, err := openConverter(t, layout).Convert(want, b), c.Convert(got, b)
			if (wantErr == nil) != (err == nil) {
				t.Errorf("byte %d changed: %v, without a picture before: %v", at, err, wantErr)
			}
			if err != nil {
				refused++
				continue
			}
			shown++
			if !isSame(got, want) {
				t.Errorf("byte %d changed: not as without a picture before", at)
			}
		}
	}
	if refused < 200 || shown < 800 {
		t.Errorf("%d refused, %d shown, want 200 and 800 at least", refused, shown)
	}
}

func TestJPEGCutAnywhereIsRefusedAndNotReadBeyond(t *testing.T) {
	whole := readFace(t, "422")
	c, dst := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0)), newPicture(96, 64)
	room := guardedBytes(t, len(whole))
	for n := range whole {
		cut := room[len(whole)-n:]
		copy(cut, whole)
		err := c.Convert(dst, cut)
		if n >= len(whole)-2 { // only of the end marker something is missing
			if err != nil {
				t.Errorf("the first %d of %d bytes: %v", n, len(whole), err)
			}
			continue
		}
		if !errors.Is(err, ErrBadJPEG) {
			t.Fatalf("the first %d of %d bytes: %v, want ErrBadJPEG", n, len(whole), err)
		}
		if n < 2 { // the same with an end mark: the header is cut, or the coded data
			continue
		}
		copy(cut[n-2:], "\xff\xd9")
		if err := c.Convert(dst, cut); err != nil && !errors.Is(err, ErrBadJPEG) {
			t.Fatalf("the first %d of %d bytes with an end mark: %v", n, len(whole), err)
		}
	}
}

func TestJPEGWritesNothingOutsideThePicture(t *testing.T) {
	for _, s := range []string{"420", "422", "440", "444", "411"} {
		large := newPicture(200, 150)
		for i := range large.Y {
			large.Y[i] = 1
		}
		inner := image.Rect(20, 30, 20+96, 30+64)
		c, part := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0)), large.SubImage(inner).(*image.YCbCr)
		if err := c.Convert(part, readFace(t, s)); err != nil {
			t.Fatal(err)
		}
		for y := range 150 {
			for x := range 200 {
				unchanged := large.Y[large.YOffset(x, y)] == 1 && large.Cb[large.COffset(x, y)] == 0
				if !image.Pt(x, y).In(inner) && !unchanged {
					t.Fatalf("%s: written at %d,%d", s, x, y)
				}
			}
		}
	}
}

func FuzzJPEGIsConvertedOrRefused(f *testing.F) {
	for _, s := range []string{"420", "422", "440", "444", "411"} {
		f.Add(readFace(f, s), uint16(96), uint16(64))
	}
	f.Add(withoutSegments(readFace(f, "420"), 0xc4), uint16(96), uint16(64))
	f.Add([]byte("\xff\xd8\xff\xd9"), uint16(2), uint16(2))
	lossless := bytes.Clone(readFace(f, "444"))
	lossless[bytes.Index(lossless, []byte{0xff, 0xc0})+1] = 0xc3
	f.Add(lossless, uint16(96), uint16(64))
	f.Add(readClip(f, "420", "restart")[0], uint16(320), uint16(240))
	f.Add(readTestdata(f, "face-fields.jpg"), uint16(320), uint16(240))
	f.Add(readTestdata(f, "face-progressive.jpg"), uint16(96), uint16(64))
	f.Fuzz(func(t *testing.T, b []byte, width, height uint16) {
		l, err := pixfmt.New(pixfmt.MJPG, int(width), int(height), 0)
		if err != nil || l.Size > 1<<20 || len(b) > 1<<16 {
			return
		}
		room := guardedBytes(t, len(b))
		copy(room, b)
		err = openConverter(t, l).Convert(guardedPicture(t, l.Width, l.Height), room)
		if err != nil && !errors.Is(err, ErrBadJPEG) {
			t.Errorf("%v: %v, want ErrBadJPEG", l, err)
		}
	})
}
