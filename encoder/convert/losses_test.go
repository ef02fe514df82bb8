// What a camera sends whose packets got lost: none of it may be shown if it does not look like the
// picture.

package convert

import (
	"bytes"
	"errors"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// leastQuality is the PSNR to the undamaged picture, in dB, below which a person sees damage.
const leastQuality = 30

// A loss takes bytes out of a JPEG.
type loss struct {
	name string
	cut  func(b []byte, r *rand.Rand) []byte
}

// cutOut takes n bytes out of b, at a random place.
func cutOut(b []byte, n int, r *rand.Rand) []byte {
	n = min(n, len(b)-100)
	at := r.IntN(len(b) - n)
	return append(append([]byte(nil), b[:at]...), b[at+n:]...)
}

// losses are of the packets of USB: bulk 512, isochronous up to 3072, less 12 of UVC's header.
func losses() []loss {
	return []loss{
		{"512 bytes", func(b []byte, r *rand.Rand) []byte { return cutOut(b, 512, r) }},
		{"1,012 bytes", func(b []byte, r *rand.Rand) []byte { return cutOut(b, 1012, r) }},
		{"3,060 bytes", func(b []byte, r *rand.Rand) []byte { return cutOut(b, 3060, r) }},
		{"256 to 4,096 bytes", func(b []byte, r *rand.Rand) []byte { return cutOut(b, 256+r.IntN(3841), r) }},
		{"a packet of 500", func(b []byte, r *rand.Rand) []byte { return cutPackets(b, 500, 1, r) }},
		{"a packet of 1,012", func(b []byte, r *rand.Rand) []byte { return cutPackets(b, 1012, 1, r) }},
		{"two packets of 372", func(b []byte, r *rand.Rand) []byte { return cutPackets(b, 372, 2, r) }},
		{"three packets of 1,012", func(b []byte, r *rand.Rand) []byte { return cutPackets(b, 1012, 3, r) }},
		{"the end", func(b []byte, r *rand.Rand) []byte { return b[:700+r.IntN(len(b)-800)] }},
		{"a part is zero", func(b []byte, r *rand.Rand) []byte {
			b = append([]byte(nil), b...)
			at := r.IntN(len(b) - 1012)
			clear(b[at : at+1012])
			return b
		}},
	}
}

// cutPackets takes count packets of a size out of b.
func cutPackets(b []byte, size, count int, r *rand.Rand) []byte {
	for range count {
		at := size * r.IntN(max(1, len(b)/size))
		if at+size < len(b)-100 {
			b = append(append([]byte(nil), b[:at]...), b[at+size:]...)
		}
	}
	return b
}

func TestNoTornPictureIsShown(t *testing.T) {
	const rounds = 50 // of each loss and picture: 10 * 5 * 50 for each clip
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 320, 240, 0))
	got := newPicture(320, 240)
	for _, kind := range clipKinds {
		r := rand.New(rand.NewPCG(5, 6))
		count, shown, worst := 0, 0, math.Inf(1)
		for _, b := range readClip(t, kind[0], kind[1]) {
			want := newPicture(320, 240)
			if err := c.Convert(want, b); err != nil {
				t.Fatal(err)
			}
			for _, l := range losses() {
				for range rounds {
					count++
					err := c.Convert(got, l.cut(b, r))
					if err != nil {
						if !errors.Is(err, ErrBadJPEG) {
							t.Fatal(err)
						}
						continue
					}
					shown++
					db := psnr(got.Y, want.Y)
					worst = min(worst, db)
					if db < leastQuality {
						t.Errorf("%s %s, %s lost: shown with %.1f dB", kind[0], kind[1], l.name, db)
					}
				}
			}
		}
		t.Logf("FIGURE torn pictures %s %s: %d of %d shown, the worst with %.1f dB",
			kind[0], kind[1], shown, count, worst)
	}
}

// In a smooth picture the number of MCUs comes out right by chance now and then. What follows has
// another brightness then.
func TestLossInASmoothPictureShowsBesideThePictureBefore(t *testing.T) {
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 640, 480, 0))
	whole := readTestdata(t, "case-restart-markers.jpg")
	want, got := newPicture(640, 480), newPicture(640, 480)
	r := rand.New(rand.NewPCG(9, 2))
	shown := 0
	for range 1000 {
		if err := c.Convert(want, whole); err != nil {
			t.Fatalf("the whole picture after a torn one: %v", err)
		}
		if c.Convert(got, cutOut(whole, 512, r)) != nil {
			continue
		}
		shown++
		if db := psnr(got.Y, want.Y); db < leastQuality {
			t.Errorf("shown with %.1f dB", db)
		}
	}
	t.Logf("FIGURE a smooth picture with 512 bytes lost: %d of 1000 shown, none below %d dB", shown, leastQuality)
}

// A scene may change as if a part were missing: the lower part of a screen, from the middle of a row of
// MCUs on. It costs one picture for each change and no more.
func TestSceneThatChangesLikeALossCostsOnePictureEachTime(t *testing.T) {
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 320, 240, 0))
	dark, light := encodeStep(t, 100, 100), encodeStep(t, 100, 140)
	got := newPicture(320, 240)
	refused := 0
	for i := range 40 {
		b := dark
		if i/10%2 == 1 {
			b = light
		}
		if err := c.Convert(got, b); err != nil {
			if !errors.Is(err, ErrBadJPEG) || i%10 != 0 {
				t.Errorf("picture %d: %v, want no error but at a change", i, err)
			}
			refused++
		}
	}
	if refused > 3 {
		t.Errorf("%d pictures refused at 3 changes", refused)
	}
}

// encodeStep gives a JPEG of one brightness, and of another from the middle of its eighth row of MCUs on.
func encodeStep(t *testing.T, above, below byte) []byte {
	t.Helper()
	p := newPicture(320, 240)
	for i := range p.Cb {
		p.Cb[i], p.Cr[i] = 128, 128
	}
	for y := range 240 {
		for x := range 320 {
			p.Y[y*p.YStride+x] = above
			if row := y / 16; row > 7 || row == 7 && x >= 160 {
				p.Y[y*p.YStride+x] = below
			}
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
