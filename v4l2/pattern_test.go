package v4l2

import (
	"bytes"
	"testing"
	"time"
)

// drawnNumber reads the number back from the middle of each block.
func drawnNumber(b Buffer) (n uint32) {
	blockWidth, blockHeight := b.Layout.Width/patternBits, b.Layout.Height/patternBits
	for bit := range patternBits {
		n <<= 1
		if b.Bytes[blockHeight/2*b.Layout.Stride+bit*blockWidth+blockWidth/2] > 128 {
			n |= 1
		}
	}
	return n
}

func TestPatternMovesAndCarriesItsNumber(t *testing.T) {
	p, err := NewPattern(320, 240, 30)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	now := fakeClock(p.pacer)
	var before []byte
	for want := range uint32(300) {
		err := p.Next(time.Second, func(b Buffer) error {
			if got := drawnNumber(b); got != want || b.Sequence != want {
				t.Errorf("picture %d carries %d, sequence %d", want, got, b.Sequence)
			}
			lower := b.Bytes[120*320 : 240*320]
			if bytes.Equal(before, lower) {
				t.Errorf("picture %d: the lower half did not move", want)
			}
			before = append(before[:0], lower...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := *now-time.Hour, 299*p.Interval(); got != want {
		t.Errorf("300 pictures took %v, want %v", got, want)
	}
	if got, want := p.String(), "pattern YU12 320x240 30 fps"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestPatternRefusesWhatItCannotDraw(t *testing.T) {
	for _, c := range []struct {
		name               string
		width, height, fps int
	}{
		{"odd width", 321, 240, 30}, {"too small for the number", 8, 8, 30}, {"no rate", 320, 240, 0},
		{"beyond any rate", 320, 240, 5000},
	} {
		if p, err := NewPattern(c.width, c.height, c.fps); err == nil {
			t.Errorf("%s: NewPattern(%d, %d, %d) = %v, want an error", c.name, c.width, c.height, c.fps, p)
		}
	}
}
