// What the pipeline does about overload: fewer pictures, then smaller ones. Owns the smaller
// picture (C memory). Runs in the goroutine that encodes.

package pipeline

import (
	"fmt"
	"image"
	"runtime"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/overload"
)

// A degradation is how far one stream is made cheaper for the board. The zero degradation takes
// every picture, whole, and looks for no overload.
type degradation struct {
	controller *overload.Controller
	config     encoder.Config // of the first rung
	rung       overload.Rung
	small      *encoder.Picture // what pictures are scaled into; nil: they are encoded as they are
	report     func(overload.Reason, overload.Rung, image.Point)
}

// beginDegradation begins to watch the load of a stream whose pictures come at an interval.
func (p *Pipeline) beginDegradation(interval time.Duration, config encoder.Config) {
	d := &p.degradation
	d.controller = overload.New(interval, config.Width, config.Height)
	d.config, d.rung = config, d.controller.Rung()
}

// endDegradation ends it: the next stream begins with all pictures, whole.
func (p *Pipeline) endDegradation() {
	p.share.divisor.Store(0)
	if p.degradation.small != nil {
		p.degradation.small.Close()
	}
	p.degradation = degradation{report: p.degradation.report}
}

// shrinkPicture returns what to encode of a picture: the picture itself, or smaller.
func (d *degradation) shrinkPicture(pixels *image.YCbCr) (*image.YCbCr, error) {
	if d.small == nil {
		return pixels, nil
	}
	return &d.small.YCbCr, convert.Scale(&d.small.YCbCr, pixels)
}

// reviewLoad gives the controller the last result and does what it decides.
func (p *Pipeline) reviewLoad(enc *encoder.Encoder) error {
	d := &p.degradation
	if d.controller == nil {
		return nil
	}
	r := p.lastResult
	d.controller.SetInterval(r.interval)
	busy := limitingTime(r.encodeTime, r.convertTime, runtime.GOMAXPROCS(0))
	why := d.controller.Observe(r.encodedAt, busy, r.quantizer)
	if why == "" {
		return nil
	}
	if err := d.applyRung(enc, d.controller.Rung()); err != nil {
		return fmt.Errorf("overload: %w", err)
	}
	p.share.divisor.Store(int32(d.rung.Divisor))
	if d.report != nil {
		d.report(why, d.rung, d.sizeOn(d.rung))
	}
	return nil
}

// limitingTime is the time of the stage that limits the frame rate. On a single core the two
// stages share it, so their times add up.
func limitingTime(encodeTime, convertTime time.Duration, cores int) time.Duration {
	if cores == 1 {
		return encodeTime + convertTime
	}
	return max(encodeTime, convertTime)
}

// sizeOn is the size of a rung's pictures. It is even, as some players want it.
func (d *degradation) sizeOn(rung overload.Rung) image.Point {
	if rung.Shrink == 1 {
		return image.Pt(d.config.Width, d.config.Height)
	}
	return image.Pt(d.config.Width/rung.Shrink&^1, d.config.Height/rung.Shrink&^1)
}

// applyRung makes encoder and smaller picture what the rung wants. If it fails, the rung before
// stands.
func (d *degradation) applyRung(enc *encoder.Encoder, rung overload.Rung) error {
	size := d.sizeOn(rung)
	c := d.config
	c.FPS = max(1, c.FPS/rung.Divisor)
	c.Width, c.Height = size.X, size.Y
	small := d.small
	if rung.Shrink != d.rung.Shrink {
		small = nil
		if rung.Shrink > 1 {
			var err error
			if small, err = encoder.NewPicture(size.X, size.Y); err != nil {
				return err
			}
		}
	}
	if err := enc.Reconfigure(c); err != nil {
		if small != nil && small != d.small {
			small.Close()
		}
		return err
	}
	if d.small != nil && d.small != small {
		d.small.Close()
	}
	d.small, d.rung = small, rung
	return nil
}
