// Package pipeline carries pictures from a camera to an encoder and its frames to a sink:
// buffer to picture in the caller's one goroutine (Capture), picture to frame in the other
// (Encode). Between the two waits at most one picture.
//
// It sits between v4l2, which gives buffers, and a Sink, which takes frames and says what the
// network allows; it knows neither RTP nor the gateway. It decides which buffers become
// pictures (rate, share), what to do when the board is too slow (degradation) or the path too
// narrow (advice, keyframe), and counts what becomes of every picture (stages, buffers).
//
// A Pipeline owns three pictures and a converter, all C memory, and no goroutine. Times are
// CLOCK_MONOTONIC. Once the stream runs nothing is allocated for a picture. Test it without
// hardware with v4l2.NewPattern or a y4m file.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"image"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/overload"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A Camera is where buffers come from: *v4l2.Camera, *v4l2.Y4M or *v4l2.Pattern.
type Camera interface {
	Layout() pixfmt.Layout
	Interval() time.Duration
	Next(timeout time.Duration, use func(v4l2.Buffer) error) error
	Close() error
	String() string
}

// A Sink takes what the encoder made: *rtpsend.Sender. The frame is the
// encoder's memory and dies with the next one.
type Sink interface {
	Send(frame []byte, key bool, at time.Duration) error
	KeyFrameWanted() bool
	// Advise says what the network allows for the picture at hand: the rate to encode at
	// in bit/s, 0 for the encoder's own, or to leave the picture out.
	Advise(now time.Duration) (bitrate int, hold bool)
}

// A shot is one picture on its way from the converter to the encoder.
type shot struct {
	picture    *encoder.Picture
	at         time.Duration // capture time, CLOCK_MONOTONIC
	converting time.Duration // how long the buffer took to become the picture
	every      time.Duration // between the camera's pictures at present
}

// shots is how many pictures exist: one being written, one waiting, one being encoded.
const shots = 3

// A Pipeline carries pictures of one size from a camera to an encoder. Between
// the two waits at most one picture; a newer one takes its place, because a
// late picture is worth less than none.
type Pipeline struct {
	size        image.Point
	converter   *convert.Converter
	free, ready chan *shot
	all         [shots]*shot
	live        atomic.Bool // somebody takes the pictures: without a grant none is made
	rate        rate        // how many buffers become pictures; zero: all
	share       share       // how many of these are left if the board is too slow
	relief      relief      // and what becomes of them; encode's alone
	last        outcome     // of the last picture; encode's alone
	held        holding     // encode's alone
	narrow      narrowness
	seen        time.Duration // when the camera last gave a buffer; capture's alone
	stages      *Stages
	use         func(v4l2.Buffer) error // take, made once: a method value for each picture would be an allocation
}

// A Config says what a Pipeline carries.
type Config struct {
	Layout   pixfmt.Layout // of the camera's buffers
	Interval time.Duration // between two buffers, nominal; 0: unknown, and overload is not looked for
	FPS      int           // pictures a second that the owner wants at most, 0: as many as come
	Stages   *Stages       // counts them; outlives the pipeline

	// Degraded is called by the goroutine that encodes whenever the load changes how many
	// pictures are sent, or their size; nil: nobody wants to know.
	Degraded func(overload.Reason, overload.Rung, image.Point)
}

// New makes a pipeline, which owns C memory until Close.
func New(c Config) (*Pipeline, error) {
	l := c.Layout
	p := &Pipeline{
		size: image.Pt(l.Width, l.Height), stages: c.Stages, rate: newRate(c.Interval, c.FPS),
		relief: relief{told: c.Degraded}, seen: v4l2.Now(),
		free: make(chan *shot, shots), ready: make(chan *shot, 1),
	}
	p.use = p.take
	var err error
	if p.converter, err = convert.New(l); err != nil {
		return nil, err
	}
	for i := range p.all {
		picture, err := encoder.NewPicture(l.Width, l.Height)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.all[i] = &shot{picture: picture}
		p.free <- p.all[i]
	}
	return p, nil
}

// Size is that of the pictures.
func (p *Pipeline) Size() image.Point { return p.size }

// FPS is the number of pictures a second that an encoder is to expect.
func (p *Pipeline) FPS() int { return p.rate.fps() }

// Close frees pictures and converter; nobody may use them any more.
func (p *Pipeline) Close() {
	for _, s := range p.all {
		if s != nil {
			s.picture.Close()
		}
	}
	if p.converter != nil {
		p.converter.Close()
	}
}

// ErrSize ends a stream whose camera came back with pictures of another size: the
// gateway was told the old one.
var ErrSize = errors.New("camera came back with another size")

// Adopt makes the pipeline take buffers of another layout of the same size, and at another
// interval, as after a camera came back that now offers another format.
func (p *Pipeline) Adopt(l pixfmt.Layout, interval time.Duration) error {
	if image.Pt(l.Width, l.Height) != p.size {
		return fmt.Errorf("%w: %dx%d, the stream has %dx%d", ErrSize, l.Width, l.Height, p.size.X, p.size.Y)
	}
	c, err := convert.New(l)
	if err != nil {
		return err
	}
	p.converter.Close()
	p.converter = c
	p.rate.camera = interval
	return nil
}

// silence is how long a camera may give no buffer before it counts as hung:
// longer than the longest exposure of a webcam in the dark (about 0.5 s).
const silence = 2 * time.Second

// Capture moves buffers into pictures until the camera fails. After the first buffer it calls
// first, unless that is nil.
func (p *Pipeline) Capture(c Camera, first func()) error {
	p.stages.buffers.follow(c)
	for {
		if err := c.Next(silence, p.use); err != nil {
			return err
		}
		if first != nil {
			first()
			first = nil
		}
	}
}

// LastBuffer is when the camera last gave a buffer, at first when the pipeline was made
// (CLOCK_MONOTONIC). It is for the goroutine that captures.
func (p *Pipeline) LastBuffer() time.Duration { return p.seen }

// take converts one buffer, unless nobody wants pictures now or it is one too many.
func (p *Pipeline) take(b v4l2.Buffer) error {
	p.seen = v4l2.Now()
	if !p.live.Load() {
		return nil
	}
	if p.rate.surplus(b.At) {
		p.stages.Surplus.Add(1)
		return nil
	}
	if p.share.skip(b.At) {
		p.stages.Shed.Add(1)
		return nil
	}
	s := p.idle()
	start := v4l2.Now()
	if err := p.converter.Convert(&s.picture.YCbCr, b.Bytes); err != nil {
		p.free <- s
		if errors.Is(err, convert.ErrBadJPEG) {
			p.stages.Unreadable.Add(1)
			return nil // the next buffer is a new chance
		}
		return err
	}
	s.at = b.At
	s.every = p.share.every
	s.converting = p.stages.Convert.since(start) - start
	p.stages.Wait.add(start - b.At)
	p.offer(s)
	return nil
}

// idle finds a picture to write into. With three of them and one in each other
// stage there is always one, if only by taking the waiting one back.
func (p *Pipeline) idle() *shot {
	select {
	case s := <-p.free:
		return s
	case s := <-p.ready:
		p.stages.Replaced.Add(1)
		return s
	}
}

// offer puts a picture before the encoder in place of one that still waits.
func (p *Pipeline) offer(s *shot) {
	for {
		select {
		case p.ready <- s:
			return
		default:
		}
		select {
		case old := <-p.ready:
			p.stages.Replaced.Add(1)
			p.free <- old
		default: // the encoder was faster
		}
	}
}

// Encode turns waiting pictures into frames for sink until ctx ends.
func (p *Pipeline) Encode(ctx context.Context, enc *encoder.Encoder, sink Sink) error {
	select {
	case s := <-p.ready: // left over from the stream before
		p.free <- s
	default:
	}
	p.narrow = narrowness{owner: enc.Config().Bitrate}
	p.live.Store(true)
	defer p.live.Store(false)
	if p.rate.wanted > 0 {
		p.ease(p.rate.wanted, enc.Config())
		defer p.unease()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-p.ready:
			err := p.shoot(enc, s, sink)
			p.free <- s
			if err != nil {
				return err
			}
		}
	}
}

// shoot encodes and sends one picture as the load allows.
func (p *Pipeline) shoot(enc *encoder.Encoder, s *shot, sink Sink) error {
	start := v4l2.Now()
	if hold, err := p.steer(enc, sink, s.at); hold || err != nil {
		return err
	}
	picture, err := p.relief.fit(&s.picture.YCbCr)
	if err != nil {
		return err
	}
	if err := p.frame(enc, picture, s.at, sink); err != nil {
		return err
	}
	p.last.busy = p.last.encoded - start
	p.last.converting, p.last.every = s.converting, s.every
	return p.observe(enc)
}

// frame encodes and sends one picture.
func (p *Pipeline) frame(enc *encoder.Encoder, picture *image.YCbCr, at time.Duration, sink Sink) error {
	start := v4l2.Now()
	f, err := enc.Encode(picture, at-p.held.total, sink.KeyFrameWanted())
	if err != nil {
		return err
	}
	if len(f.Bytes) == 0 {
		p.stages.Skipped.Add(1) // the rate control's choice
		p.last = outcome{encoded: v4l2.Now(), quantizer: starved}
		return nil
	}
	encoded := p.stages.Encode.since(start)
	p.last = outcome{encoded: encoded, quantizer: f.Quantizer}
	if err := sink.Send(f.Bytes, f.Key, at); err != nil {
		return err
	}
	p.stages.Send.since(encoded)
	if f.Key {
		p.stages.KeyFrames.Add(1)
	}
	p.stages.Frames.Add(1)
	p.stages.Bytes.Add(int64(len(f.Bytes)))
	return nil
}

// EncodeFile encodes every picture of a file in the one goroutine, straight from
// the file's mapping where the format allows it, until io.EOF.
func (p *Pipeline) EncodeFile(ctx context.Context, c Camera, enc *encoder.Encoder, sink Sink) error {
	use := func(b v4l2.Buffer) error {
		if picture, ok := p.converter.Alias(b.Bytes); ok {
			return p.frame(enc, picture, b.At, sink)
		}
		s := p.all[0]
		if err := p.converter.Convert(&s.picture.YCbCr, b.Bytes); err != nil {
			return err
		}
		return p.frame(enc, &s.picture.YCbCr, b.At, sink)
	}
	for ctx.Err() == nil {
		if err := c.Next(silence, use); err != nil {
			return err
		}
	}
	return nil
}
