// The rig's figures: what stamps read back from decoded pictures say about order, loss and
// delay, and how far decoded pictures are from their source.

package rig

import (
	"fmt"
	"image"
	"math"
	"slices"
	"time"

	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// A sighting is one decoded picture.
type sighting struct {
	at       time.Time // when the decoder gave it out
	number   uint32
	age      time.Duration // camera to decoded
	readable bool
}

// A streamReport sums up a run of decoded pictures.
type streamReport struct {
	pictures, unreadable  int
	repeated, backwards   int
	missing               int // pictures of the camera between the first and the last that nobody saw
	fps                   float64
	p50, p95, longest     time.Duration // camera to decoded
	firstNumber, lastSeen uint32
}

func summarize(all []sighting) streamReport {
	r := streamReport{pictures: len(all)}
	var ages []time.Duration
	var good []sighting
	for _, s := range all {
		if !s.readable {
			r.unreadable++
			continue
		}
		good = append(good, s)
		ages = append(ages, s.age)
	}
	if len(good) < 2 {
		return r
	}
	for i := 1; i < len(good); i++ {
		switch {
		case good[i].number == good[i-1].number:
			r.repeated++
		case good[i].number < good[i-1].number:
			r.backwards++
		}
	}
	first, last := good[0], good[len(good)-1]
	r.firstNumber, r.lastSeen = first.number, last.number
	r.missing = int(last.number) - int(first.number) + 1 - (len(good) - r.repeated)
	r.fps = float64(len(good)-1) / last.at.Sub(first.at).Seconds()
	slices.Sort(ages)
	r.p50, r.p95, r.longest = ages[len(ages)/2], ages[len(ages)*95/100], ages[len(ages)-1]
	return r
}

func (r streamReport) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%d pictures %d to %d, %.1f fps, unreadable %d, repeated %d, backwards %d, missing %d, "+
		"camera to decoded p50 %.1f p95 %.1f max %.1f ms",
		r.pictures, r.firstNumber, r.lastSeen, r.fps, r.unreadable, r.repeated, r.backwards, r.missing,
		ms(r.p50), ms(r.p95), ms(r.longest))
}

// A fidelity is the squared error of Y, U and V over many pictures, below the stamp.
type fidelity struct {
	pictures int
	squares  [3]float64
	samples  [3]float64
	worst    [3]float64 // dB of the worst picture
}

// add compares a decoded I420 picture, without padding, with its source.
func (f *fidelity) add(decoded []byte, source *image.YCbCr) {
	w, h := source.Rect.Dx(), source.Rect.Dy()
	cw, ch := w/2, h/2
	y, u, v := decoded[:w*h], decoded[w*h:w*h+cw*ch], decoded[w*h+cw*ch:]
	luma := func(x, row int) byte { return source.Y[source.YOffset(x, row)] }
	chroma := func(plane []byte) func(x, row int) byte {
		return func(x, row int) byte { return averageChroma(source, plane, x, row) }
	}
	for i, p := range []struct {
		got          []byte
		stride, rows int
		from         int
		want         func(x, row int) byte
	}{
		{y, w, h, stamp.Height, luma},
		{u, cw, ch, stamp.Height / 2, chroma(source.Cb)},
		{v, cw, ch, stamp.Height / 2, chroma(source.Cr)},
	} {
		sum, n := 0.0, 0.0
		for row := p.from; row < p.rows; row++ {
			for x := range p.stride {
				d := float64(p.got[row*p.stride+x]) - float64(p.want(x, row))
				sum += d * d
				n++
			}
		}
		f.squares[i] += sum
		f.samples[i] += n
		if db := decibel(sum, n); f.pictures == 0 || db < f.worst[i] {
			f.worst[i] = db
		}
	}
	f.pictures++
}

// averageChroma is a chroma sample of 4:2:0 out of any subsampling.
func averageChroma(m *image.YCbCr, plane []byte, x, row int) byte {
	a, b := int(plane[m.COffset(2*x, 2*row)]), int(plane[m.COffset(2*x+1, 2*row+1)])
	c, d := int(plane[m.COffset(2*x+1, 2*row)]), int(plane[m.COffset(2*x, 2*row+1)])
	return byte((a + b + c + d + 2) / 4)
}

func decibel(squares, samples float64) float64 {
	if squares == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*samples/squares)
}

// planes is the PSNR of Y, U and V over all pictures.
func (f *fidelity) planes() (db [3]float64) {
	for i := range db {
		db[i] = decibel(f.squares[i], f.samples[i])
	}
	return db
}

func (f *fidelity) String() string {
	p := f.planes()
	return fmt.Sprintf("PSNR of %d pictures Y %.1f U %.1f V %.1f dB, worst Y %.1f U %.1f V %.1f",
		f.pictures, p[0], p[1], p[2], f.worst[0], f.worst[1], f.worst[2])
}
