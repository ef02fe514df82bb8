// What the pipeline does about overload: fewer pictures, then smaller ones. Owns the
// smaller picture (C memory); used by the goroutine that encodes.

package firmware

import (
	"context"
	"fmt"
	"image"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/overload"
	"github.com/krazycam/krazycam/v4l2"
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

// A share says which pictures are converted at all: one of every n. One goroutine
// sets n, another asks.
type share struct {
	n       atomic.Int32 // 0 is 1
	counted int32
	last    time.Duration // capture time
	every   time.Duration // between pictures, smoothed; 0 before the first
}

// skip tells whether to leave out the picture captured at the given time.
func (s *share) skip(at time.Duration) bool {
	s.every += (min(max(at-s.last, 0), time.Second) - s.every) / 8 // smooth: one late picture is no slow camera
	s.last = at
	n := s.n.Load()
	s.counted++
	return n > 1 && s.counted%n != 0
}

// ease begins to watch a stream whose pictures come at an interval.
func (p *pipeline) ease(interval time.Duration, config encoder.Config) {
	p.relief.controller = overload.New(interval, config.Width, config.Height)
	p.relief.config, p.relief.rung = config, p.relief.controller.Rung()
}

// unease ends it: the next stream begins with all pictures, whole.
func (p *pipeline) unease() {
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
func (p *pipeline) observe(enc *encoder.Encoder) error {
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

// A holding is the time that the network was given to drain. The encoder's clock stands
// still meanwhile: it would spend the bits of that time on the next picture.
type holding struct {
	total time.Duration
	last  time.Duration // capture time of the latest picture, held or not
}

func (h *holding) picture(at time.Duration, hold bool) {
	if hold && h.last != 0 {
		h.total += max(0, at-h.last)
	}
	h.last = at
}

// A narrowness tells a path that turned out to carry less than the owner's rate, where
// key frames must be small, from a stream that only begins with less.
type narrowness struct {
	owner, last encoder.Bitrate // last: as advised before; 0: not yet
	is          bool
}

func (n *narrowness) follow(enc *encoder.Encoder, rate encoder.Bitrate) error {
	is := rate < n.owner && (n.is || n.last != 0 && rate < n.last)
	n.last = rate
	if is == n.is {
		return nil
	}
	n.is = is
	return enc.Set(encoder.MaxIntra, enc.Config().MaxIntra(is))
}

// steer makes the encoder keep to what the network allows; hold: the picture at hand is
// not to be sent at all.
func (p *pipeline) steer(enc *encoder.Encoder, sink frameSink, at time.Duration) (hold bool, err error) {
	rate, hold := sink.Advise(v4l2.Now())
	p.held.picture(at, hold)
	if hold {
		p.stages.Held.Add(1)
		return true, nil
	}
	if rate == 0 || encoder.Bitrate(rate) == enc.Config().Bitrate {
		return false, nil
	}
	p.stages.Rate.Store(int64(rate))
	if err := p.narrow.follow(enc, encoder.Bitrate(rate)); err != nil {
		return false, err
	}
	p.relief.config.Bitrate = encoder.Bitrate(rate)
	return false, enc.SetBitrate(encoder.Bitrate(rate))
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

// tellRelief logs each step: it is what an owner sees of a board that is too slow.
func (s *Source) tellRelief(why overload.Reason, r overload.Rung, size image.Point) {
	level := slog.LevelWarn
	if why == overload.Better {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "load changes the stream", "because", why, "one_picture_of", r.Divisor, "size", fmt.Sprintf("%dx%d", size.X, size.Y))
}
