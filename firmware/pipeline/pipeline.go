// Package pipeline carries pictures from a camera to an encoder and the frames to a sink: buffer
// to picture in one goroutine of the caller (Capture), picture to frame in another (Encode).
// Between the two waits at most one picture.
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

// A Sink takes what the encoder made, as *rtpsend.Sender does. The frame is the encoder's
// memory and is overwritten with the next one.
type Sink interface {
	Send(frame []byte, key bool, at time.Duration) error
	// KeyFrameWanted is asked once for each picture, before it is encoded.
	KeyFrameWanted() bool
	// Advise says what the network allows for the picture at hand: the rate to encode at in
	// bit/s, 0 for the encoder's own; or, with hold, to leave the picture out.
	Advise(now time.Duration) (bitrate int, hold bool)
}

// A picture is one I420 picture on its way from the converter to the encoder.
type picture struct {
	pixels      *encoder.Picture
	at          time.Duration // capture time
	convertTime time.Duration // how long the buffer took to become the picture
	interval    time.Duration // between the camera's pictures at present
}

// pictureCount is how many pictures exist: one is written, one waits, one is encoded.
const pictureCount = 3

// A Pipeline carries pictures of one size from a camera to an encoder. Between the two waits
// at most one picture; a newer one takes its place, because a late picture is worth less than
// none.
type Pipeline struct {
	size     image.Point
	stages   *Stages
	pictures [pictureCount]*picture
	free     chan *picture // nobody uses them
	ready    chan *picture // the one that waits for the encoder
	active   atomic.Bool   // somebody takes the pictures: without a grant none is made

	// Of the goroutine that captures.
	converter  *convert.Converter
	takeBuffer func(v4l2.Buffer) error // convertBuffer, bound once: each binding allocates
	lastBuffer time.Duration           // when the camera last gave one not known to be undecodable
	unreadable unreadable              // those since
	unproven   bool                    // the camera gives JPEGs, none of them whole so far
	rate       rate                    // which buffers the stream's frame rate leaves out; zero: none
	share      share                   // which of the others overload leaves out; Encode sets it

	// Of the goroutine that encodes.
	degradation degradation
	lastResult  result
	heldTime    heldTime
	keyFrames   keyFrameSize
}

// A Config says what a Pipeline carries.
type Config struct {
	Layout   pixfmt.Layout // of the camera's buffers
	Interval time.Duration // between two buffers, nominal; 0: unknown, and overload is not looked for
	FPS      int           // pictures a second that the owner wants at most; 0: as many as come
	Stages   *Stages       // counts them; outlives the pipeline

	// Degraded is called by the goroutine that encodes whenever the load changes how many
	// pictures are sent, or their size; nil: nobody wants to know.
	Degraded func(why overload.Reason, rung overload.Rung, size image.Point)
}

// New makes a pipeline, which owns C memory until Close.
func New(c Config) (*Pipeline, error) {
	width, height := c.Layout.Width, c.Layout.Height
	p := &Pipeline{
		size: image.Pt(width, height), stages: c.Stages,
		free: make(chan *picture, pictureCount), ready: make(chan *picture, 1),
		rate: newRate(c.Interval, c.FPS), lastBuffer: v4l2.Now(),
		degradation: degradation{report: c.Degraded},
	}
	p.takeBuffer = p.convertBuffer
	var err error
	if p.converter, err = convert.New(c.Layout); err != nil {
		return nil, err
	}
	for i := range p.pictures {
		pixels, err := encoder.NewPicture(width, height)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.pictures[i] = &picture{pixels: pixels}
		p.free <- p.pictures[i]
	}
	return p, nil
}

// Close frees pictures and converter. Capture and Encode must have returned.
func (p *Pipeline) Close() {
	for _, pic := range p.pictures {
		if pic != nil {
			pic.pixels.Close()
		}
	}
	if p.converter != nil {
		p.converter.Close()
	}
}

// Size is that of the pictures.
func (p *Pipeline) Size() image.Point { return p.size }

// FPS is the number of pictures a second that an encoder is to expect. It may be called while
// Capture runs.
func (p *Pipeline) FPS() int { return p.rate.encoderFPS() }

// LastBuffer is when the camera last gave a buffer, those not counted that could not be decoded; at
// first it is when the pipeline was made. It is for the goroutine that captures.
func (p *Pipeline) LastBuffer() time.Duration { return p.lastBuffer }

// ErrSize ends a stream whose camera came back with pictures of another size: the gateway knows
// the old one.
var ErrSize = errors.New("camera came back with another size")

// Adopt makes the pipeline take buffers of another layout of the same size, and at another
// interval: a camera that comes back may offer another format. It returns ErrSize for another
// size. Capture must not be running.
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
	p.rate.cameraInterval = interval
	return nil
}
