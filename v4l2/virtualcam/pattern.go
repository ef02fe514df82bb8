// Pattern: a Source that computes a moving picture.

package virtualcam

import (
	"fmt"
	"image"
	"math"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

const (
	// patternQuality is the JPEG quality of most webcams.
	patternQuality = 80
	// patternPeriod is the width and height of a tile in pixels, and patternStep by how many
	// pixels it moves for each picture; so the pattern repeats after 64 / 4 = 16 pictures.
	patternPeriod = 64
	patternStep   = 4
	patternPhases = patternPeriod / patternStep
)

// A Pattern is a Source: soft tiles that move over a gradient, each picture stamped. The first
// picture of a format and size takes longer (0.1 s at 640x480). Only one goroutine at a time may
// call FillBuffer; several may call Picture.
type Pattern struct {
	scenes map[scene]*patternScene
}

type scene struct {
	format pixfmt.FourCC
	size   Size
}

// A patternScene is what a Pattern prepared for one format and size.
type patternScene struct {
	header []byte
	strips [patternPhases]strips // below the stamp
	buffer []byte
}

// NewPattern returns a pattern source.
func NewPattern() *Pattern { return &Pattern{scenes: map[scene]*patternScene{}} }

// ListSizes implements Source.
func (p *Pattern) ListSizes() []Size { return []Size{{640, 480}, {320, 240}, {1280, 720}} }

// FillBuffer implements Source.
func (p *Pattern) FillBuffer(f pixfmt.FourCC, s Size, n uint32, due time.Time) ([]byte, error) {
	sc, err := p.prepareScene(scene{f, s})
	if err != nil {
		return nil, err
	}
	m, mark := drawPattern(s, n), stamp.New(n, due)
	mark.Draw(m.Y, m.YStride, 1)
	if f == pixfmt.YUYV {
		sc.buffer = appendYUYV(sc.buffer[:0], m)
		return sc.buffer, nil
	}
	top, err := cutStrips(m, 0, stamp.Rows, patternQuality)
	if err != nil {
		return nil, err
	}
	sc.buffer = joinStrips(sc.buffer[:0], sc.header, top, sc.strips[n%patternPhases])
	return sc.buffer, nil
}

// Picture returns what FillBuffer shows as picture n, after JPEG, without the stamp.
func (p *Pattern) Picture(f pixfmt.FourCC, s Size, n uint32) (*image.YCbCr, error) {
	m := drawPattern(s, n)
	if f == pixfmt.YUYV {
		return m, nil
	}
	header, err := stripsHeader(s, patternQuality)
	if err != nil {
		return nil, err
	}
	all, err := cutStrips(m, 0, stripCount(s), patternQuality)
	if err != nil {
		return nil, err
	}
	return decodeJPEG(joinStrips(nil, header, all))
}

// prepareScene computes what a format and size needs, the first time only.
func (p *Pattern) prepareScene(k scene) (*patternScene, error) {
	if sc := p.scenes[k]; sc != nil {
		return sc, nil
	}
	if k.size.Width < stamp.Width || k.size.Height < stamp.Height {
		return nil, fmt.Errorf("pattern of %dx%d, want %dx%d at least",
			k.size.Width, k.size.Height, stamp.Width, stamp.Height)
	}
	sc := &patternScene{}
	if k.format == pixfmt.MJPG {
		var err error
		if sc.header, err = stripsHeader(k.size, patternQuality); err != nil {
			return nil, err
		}
		for i := range sc.strips {
			m := drawPattern(k.size, uint32(i))
			sc.strips[i], err = cutStrips(m, stamp.Rows, stripCount(k.size), patternQuality)
			if err != nil {
				return nil, err
			}
		}
	}
	p.scenes[k] = sc
	return sc, nil
}

func stripCount(s Size) int { return (s.Height + stripRows - 1) / stripRows }

// drawPattern draws picture n in I420. Chroma moves, too, each plane in its own direction, so
// that a comparison shows exchanged or shifted planes.
func drawPattern(s Size, n uint32) *image.YCbCr {
	m := image.NewYCbCr(image.Rect(0, 0, s.Width, s.Height), image.YCbCrSubsampleRatio420)
	var wave [patternPeriod]int
	for i := range wave {
		wave[i] = int(math.Round(24 * math.Sin(2*math.Pi*float64(i)/patternPeriod)))
	}
	shift := int(n%patternPhases) * patternStep
	for y := range s.Height {
		down := wave[(y+shift)%patternPeriod]
		for x := range s.Width {
			gradient := 70 + x*80/s.Width + y*20/s.Height
			m.Y[y*m.YStride+x] = byte(gradient + wave[(x+shift)%patternPeriod] + down)
		}
	}
	for y := range s.Height / 2 {
		for x := range s.Width / 2 {
			i := y*m.CStride + x
			m.Cb[i] = byte(100 + x*60/m.CStride + wave[(2*x+shift)%patternPeriod]/2)
			m.Cr[i] = byte(150 - y*60/(s.Height/2) + wave[(2*y+shift)%patternPeriod]/2)
		}
	}
	return m
}
