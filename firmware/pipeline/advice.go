// What the network allows, done to encoder and pictures: a bitrate, or a picture left out while
// a queue on the path drains. Runs in the goroutine that encodes.

package pipeline

import (
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2"
)

// followAdvice makes the encoder keep to what the network allows for the picture captured at
// the given time. held: that picture is not to be sent at all.
func (p *Pipeline) followAdvice(enc *encoder.Encoder, sink Sink, at time.Duration) (held bool, err error) {
	bitrate, held := sink.Advise(v4l2.Now())
	p.heldTime.addPicture(at, held)
	if held {
		p.stages.Held.Add(1)
		return true, nil
	}
	rate := max(encoder.Bitrate(bitrate), encoder.MinBitrate)
	if bitrate == 0 || rate == enc.Config().Bitrate {
		return false, nil
	}
	p.stages.Rate.Store(int64(rate))
	if err := p.keyFrames.followRate(enc, rate); err != nil {
		return false, err
	}
	p.degradation.config.Bitrate = rate
	return false, enc.SetBitrate(rate)
}

// A heldTime is the time that the network was given to drain. The encoder's clock stands still
// meanwhile: otherwise it would spend the bits of that time on the next picture.
type heldTime struct {
	total  time.Duration
	lastAt time.Duration // capture time of the last picture, held or not
}

// addPicture counts the time since the picture before if this one is held.
func (h *heldTime) addPicture(at time.Duration, held bool) {
	if held && h.lastAt != 0 {
		h.total += max(0, at-h.lastAt)
	}
	h.lastAt = at
}

// encoderTime is the encoder's time for a picture captured at the given time.
func (h *heldTime) encoderTime(at time.Duration) time.Duration { return at - h.total }
