// Pattern: a drawn picture that moves, for a board without a camera and for tests.

package v4l2

import (
	"fmt"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const (
	// patternBits is how many low bits of the picture's number are drawn.
	patternBits = 16
	// rampPeriodPixels is the width of the luma wave in pixels.
	rampPeriodPixels = 256
	// rampPixelsPerPicture is how far the wave moves from picture to picture: slow enough for an
	// encoder's motion search, fast enough to see that it moves.
	rampPixelsPerPicture = 2
	// Limited-range luma (ITU-R BT.601): 16 is black, 235 white.
	black, white = 16, 235
)

// A Pattern draws a diagonal wave of luma that moves, over chroma that does not. 16 blocks along
// the top, each 1/16 of the width and height, show the picture's number modulo 65536 in binary,
// the highest bit on the left, white for 1. They are large enough to be read back after VP8.
type Pattern struct {
	layout   pixfmt.Layout
	ramp     []byte // one wave and a row more, so that every row is one copy out of it
	picture  []byte
	counters counters
	*pacer
}

// NewPattern returns an endless pattern of fps pictures a second.
func NewPattern(width, height, fps int) (*Pattern, error) {
	layout, err := pixfmt.New(pixfmt.YU12, width, height, 0)
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	if width%2 != 0 || height%2 != 0 {
		return nil, fmt.Errorf("pattern %v: want even sides", layout)
	}
	if width < patternBits || height < patternBits || fps < 1 || fps > 1000 {
		return nil, fmt.Errorf("pattern %v at %d fps: want sides from %d and 1 to 1000 fps", layout, fps, patternBits)
	}
	p := &Pattern{
		layout:  layout,
		ramp:    make([]byte, rampPeriodPixels+width),
		picture: make([]byte, layout.Size),
		pacer:   newPacer(time.Second/time.Duration(fps), endlessCount, true),
	}
	for i := range p.ramp {
		up := i % rampPeriodPixels
		p.ramp[i] = byte(black + (white-black)*min(up, rampPeriodPixels-up)/(rampPeriodPixels/2))
	}
	p.paintChroma()
	return p, nil
}

// paintChroma fills both chroma planes once: U grows to the right, V downwards.
func (p *Pattern) paintChroma() {
	planes, _ := p.layout.Planes()
	u, v := p.picture[planes[1].Offset:planes[2].Offset], p.picture[planes[2].Offset:]
	width, rows := planes[1].Stride, planes[1].Rows
	for y := range rows {
		for x := range width {
			u[y*width+x] = byte(64 + 128*x/width)
			v[y*width+x] = byte(64 + 128*y/rows)
		}
	}
}

// Next draws the picture that is due and hands it to use. A caller that is late gets the
// newest; the next call overwrites the bytes. Errors to branch on: ErrSilent, ErrClosed.
func (p *Pattern) Next(timeout time.Duration, use func(Buffer) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, at, skipped, err := p.awaitPicture(timeout)
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	p.counters[older].Add(uint64(skipped))
	p.counters.countBuffer(delivered)
	p.drawPicture(n)
	return use(Buffer{Bytes: p.picture, Layout: p.layout, At: at, Sequence: n})
}

// drawPicture paints the luma of picture n.
func (p *Pattern) drawPicture(n uint32) {
	width, height := p.layout.Width, p.layout.Height
	for y := range height {
		phase := (y + rampPixelsPerPicture*int(n%rampPeriodPixels)) % rampPeriodPixels
		copy(p.picture[y*width:(y+1)*width], p.ramp[phase:])
	}
	blockWidth, blockHeight := width/patternBits, height/patternBits
	for bit := range patternBits {
		luma := byte(black)
		if n&(1<<(patternBits-1-bit)) != 0 {
			luma = white
		}
		for y := range blockHeight {
			row := p.picture[y*width+bit*blockWidth:][:blockWidth]
			for x := range row {
				row[x] = luma
			}
		}
	}
}

// Layout is that of every picture.
func (p *Pattern) Layout() pixfmt.Layout { return p.layout }

// Interval is the time between two pictures.
func (p *Pattern) Interval() time.Duration { return p.interval }

// Counters counts what was delivered and what a late caller missed.
func (p *Pattern) Counters() Counters { return p.counters.snapshot() }

// String returns, for example, "pattern YU12 640x480 30 fps".
func (p *Pattern) String() string {
	return fmt.Sprintf("pattern %v %s", p.layout, formatRate(p.interval))
}

// Close interrupts a waiting Next and waits until a running use has returned.
func (p *Pattern) Close() error { return p.shutDown(func() error { return nil }) }
