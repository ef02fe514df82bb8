// What the pipeline does about overload: fewer pictures, then smaller ones. Owns the
// smaller picture (C memory); used by the goroutine that encodes.

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

// A relief is how one stream is made lighter. The zero relief takes every picture whole.
type relief struct {
	controller *overload.Controller
	config     encoder.Config // of the first rung
	rung       overload.Rung
	small      *encoder.Picture // nil: pictures go to the encoder as they are
	told       func(overload.Reason, overload.Rung, image.Point)
}

// starved stands for the quantizer of a picture that got no bits at all: coarser than any.
const starved = 127

// ease begins to watch a stream whose pictures come at an interval.
func (p *Pipeline) ease(interval time.Duration, config encoder.Config) {
	p.relief.controller = overload.New(interval, config.Width, config.Height)
	p.relief.config, p.relief.rung = config, p.relief.controller.Rung()
}

// unease ends it: the next stream begins with all pictures, whole.
func (p *Pipeline) unease() {
	p.share.n.Store(0)
	if p.relief.small != nil {
		p.relief.small.Close()
	}
	p.relief = relief{told: p.relief.told}
}

// fit gives what to encode of a picture.
func (r *relief) fit(picture *image.YCbCr) (*image.YCbCr, error) {
	if r.small == nil {
		return picture, nil
	}
	return &r.small.YCbCr, convert.Scale(&r.small.YCbCr, picture)
}

// An outcome is what one picture took. Sending is not in it: a network that is slow
// is not helped by encoding less often.
type outcome struct {
	encoded          time.Duration // when it was, CLOCK_MONOTONIC
	busy, converting time.Duration // in the stage that encodes, in the one before
	every            time.Duration // between the camera's pictures at present
	quantizer        int           // 0 to 127
}

// observe tells the controller about the last picture and does what it decides.
func (p *Pipeline) observe(enc *encoder.Encoder) error {
	r := &p.relief
	if r.controller == nil {
		return nil
	}
	o := p.last
	r.controller.Pace(o.every)
	why := r.controller.Observe(o.encoded, busiest(o.busy, o.converting, runtime.GOMAXPROCS(0)), o.quantizer)
	if why == "" {
		return nil
	}
	if err := r.follow(enc, r.controller.Rung()); err != nil {
		return fmt.Errorf("overload: %w", err)
	}
	p.share.n.Store(int32(r.rung.Divisor))
	if r.told != nil {
		r.told(why, r.rung, image.Pt(r.size(r.rung)))
	}
	return nil
}

// busiest is the time of the stage that limits the rate: the two share a single core.
func busiest(encoding, converting time.Duration, cores int) time.Duration {
	if cores == 1 {
		return encoding + converting
	}
	return max(encoding, converting)
}

// size of a rung's pictures: even, as some players want it.
func (r *relief) size(rung overload.Rung) (width, height int) {
	if rung.Shrink == 1 {
		return r.config.Width, r.config.Height
	}
	return r.config.Width / rung.Shrink &^ 1, r.config.Height / rung.Shrink &^ 1
}

// follow makes encoder and smaller picture what the rung wants.
func (r *relief) follow(enc *encoder.Encoder, rung overload.Rung) error {
	c := r.config
	c.FPS = max(1, c.FPS/rung.Divisor)
	c.Width, c.Height = r.size(rung)
	small := r.small
	if rung.Shrink != r.rung.Shrink {
		small = nil
		if rung.Shrink > 1 {
			var err error
			if small, err = encoder.NewPicture(c.Width, c.Height); err != nil {
				return err
			}
		}
	}
	if err := enc.Reconfigure(c); err != nil {
		if small != nil && small != r.small {
			small.Close()
		}
		return err
	}
	if r.small != nil && r.small != small {
		r.small.Close()
	}
	r.small, r.rung = small, rung
	return nil
}
