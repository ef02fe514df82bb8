// What the network allows, done to encoder and pictures: a rate, or a picture left out while a
// queue on the path drains. Used by the goroutine that encodes.

package pipeline

import (
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2"
)

// steer makes the encoder keep to what the network allows; hold: the picture at hand is
// not to be sent at all.
func (p *Pipeline) steer(enc *encoder.Encoder, sink Sink, at time.Duration) (hold bool, err error) {
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
