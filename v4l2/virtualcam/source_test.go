package virtualcam

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// clipBytes is a clip of n pictures of the pattern, as ffmpeg would write it.
func clipBytes(t testing.TB, s Size, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	for i := range n {
		if err := jpeg.Encode(&out, drawPattern(s, uint32(i)), &jpeg.Options{Quality: 92}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func psnr(t *testing.T, a, b []byte) float64 {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("planes of %d and %d bytes", len(a), len(b))
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	if sum == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(255*255*float64(len(a))/sum)
}

// planesBelow are Y, Cb and Cr without the stamp's rows.
func planesBelow(m *image.YCbCr) [3][]byte {
	return [3][]byte{m.Y[stamp.Height*m.YStride:], m.Cb[stamp.Height/2*m.CStride:], m.Cr[stamp.Height/2*m.CStride:]}
}

// pictureSource is what both sources are.
type pictureSource interface {
	Source
	Picture(f pixfmt.FourCC, s Size, n uint32) (*image.YCbCr, error)
}

func stampedClip(t *testing.T, s Size, n int) *Clip {
	t.Helper()
	c, err := ParseClip(clipBytes(t, s, n))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StampPictures(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSourcesStampAndGiveTheirPictureBack(t *testing.T) {
	now := time.UnixMicro(1_700_000_000_123_456)
	for name, source := range map[string]pictureSource{
		"pattern": NewPattern(), "clip": stampedClip(t, Size{320, 240}, 3),
		"large clip": stampedClip(t, Size{640, 480}, 2),
	} {
		for _, s := range source.ListSizes() {
			for n := uint32(1); n < 20; n += 6 {
				b, err := source.FillBuffer(pixfmt.MJPG, s, n, now)
				if err != nil {
					t.Fatal(err)
				}
				m, err := decodeJPEG(b)
				if err != nil {
					t.Fatal(err)
				}
				if m.Rect.Dx() != s.Width || m.Rect.Dy() != s.Height {
					t.Fatalf("%s: picture of %v, want %v", name, m.Rect, s)
				}
				if mark, ok := stamp.Read(m.Y, m.YStride, 1); !ok || mark != stamp.New(n, now) {
					t.Errorf("%s %v: stamp = %+v, %v, want number %d", name, s, mark, ok, n)
				}
				want, err := source.Picture(pixfmt.MJPG, s, n)
				if err != nil {
					t.Fatal(err)
				}
				for i, got := range planesBelow(m) {
					if !bytes.Equal(got, planesBelow(want)[i]) {
						t.Errorf("%s %v picture %d: plane %d differs from Picture", name, s, n, i)
					}
				}
			}
		}
	}
}

func TestYUYVIsStampedToo(t *testing.T) {
	now, s := time.UnixMicro(99), Size{320, 240}
	for name, source := range map[string]pictureSource{"pattern": NewPattern(), "clip": stampedClip(t, s, 3)} {
		b, err := source.FillBuffer(pixfmt.YUYV, s, 5, now)
		if err != nil {
			t.Fatal(err)
		}
		if mark, ok := stamp.Read(b, s.Width*2, 2); !ok || mark != stamp.New(5, now) {
			t.Errorf("%s: stamp = %+v, %v, want number 5", name, mark, ok)
		}
		want, err := source.Picture(pixfmt.YUYV, s, 5)
		if err != nil {
			t.Fatal(err)
		}
		below := s.Width * 2 * stamp.Height
		if got := appendYUYV(nil, want); !bytes.Equal(got[below:], b[below:]) {
			t.Errorf("%s: YUYV differs from Picture", name)
		}
	}
}

func TestStampedClipStaysWithin45DecibelOfTheClip(t *testing.T) {
	s := Size{320, 240}
	raw := clipBytes(t, s, 3)
	plain, err := ParseClip(raw)
	if err != nil {
		t.Fatal(err)
	}
	stamped := stampedClip(t, s, 3)
	for n := range uint32(3) {
		want, err := plain.Picture(pixfmt.MJPG, s, n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stamped.Picture(pixfmt.MJPG, s, n)
		if err != nil {
			t.Fatal(err)
		}
		for i, plane := range planesBelow(got) {
			if db := psnr(t, plane, planesBelow(want)[i]); db < 45 {
				t.Errorf("picture %d plane %d: %.1f dB, want 45", n, i, db)
			}
		}
	}
}

func TestPlainClipIsPlayedByteForByteOverAndOver(t *testing.T) {
	s := Size{64, 48}
	raw := clipBytes(t, s, 3)
	c, err := ParseClip(append([]byte{0, 0}, raw...))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for n := range uint32(6) {
		b, err := c.FillBuffer(pixfmt.MJPG, s, n, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b...)
	}
	if c.Pictures() != 3 || !bytes.Equal(got, append(raw[:len(raw):len(raw)], raw...)) {
		t.Errorf("%d pictures, %d bytes, want 3 pictures, %d bytes", c.Pictures(), len(got), 2*len(raw))
	}
	if err := c.StampPictures(); err == nil {
		t.Error("a clip of 64x48 was stamped")
	}
}

func TestOpenClipSaysWhatIsWrong(t *testing.T) {
	good := clipBytes(t, Size{32, 32}, 1)
	other := clipBytes(t, Size{64, 32}, 1)
	odd := clipBytes(t, Size{33, 32}, 1)
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"an empty file", nil},
		{"a text", []byte("no pictures in here")},
		{"a picture that is cut off", good[:len(good)-2]},
		{"two sizes", append(append([]byte(nil), good...), other...)},
		{"an odd width", odd},
		{"rubbish between pictures", append(append(append([]byte(nil), good...), 'x'), good...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "clip.mjpeg")
			if err := os.WriteFile(path, c.b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenClip(path); !errors.Is(err, ErrBadClip) {
				t.Errorf("OpenClip = %v, want ErrBadClip", err)
			}
		})
	}
	if _, err := OpenClip(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenClip of an absent file = %v, want ErrNotExist", err)
	}
}

func TestEndMarkerInsideASegmentIsNotTheEnd(t *testing.T) {
	good := clipBytes(t, Size{32, 32}, 1)
	thumbnail := concat([]byte{0xff, 0xe1, 0, 8, 0xff, markerSOI, 1, 2, 0xff, markerEOI}, good[2:])
	b := concat(good[:2], thumbnail, []byte{0, 0, 0}, good)
	all, err := splitMJPEG(b)
	if err != nil || len(all) != 2 || len(all[0]) != len(good)+10 {
		t.Fatalf("splitMJPEG = %d pictures, %v, want 2", len(all), err)
	}
}

func FuzzParseClip(f *testing.F) {
	f.Add(clipBytes(f, Size{32, 32}, 2))
	f.Add([]byte{0xff, markerSOI, 0xff, 0xff, markerRST0, 0xff, markerSOS, 0, 2, 1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseClip(b)
		if err != nil {
			return
		}
		total := 0
		for _, p := range c.pictures {
			total += len(p)
		}
		if total > len(b) {
			t.Errorf("%d bytes of pictures in a file of %d", total, len(b))
		}
	})
}
