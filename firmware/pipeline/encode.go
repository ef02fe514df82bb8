// The second half: pictures become frames and go to the sink. Runs in the goroutine that encodes.

package pipeline

import (
	"context"
	"image"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2"
)

// A result is what the last picture took and how coarse it became. The time of sending is not
// in it: a network that is slow is not helped by encoding less often.
type result struct {
	encodedAt   time.Duration // when the frame was there
	encodeTime  time.Duration // in the stage that encodes
	convertTime time.Duration // in the stage before
	interval    time.Duration // between the camera's pictures at present
	quantizer   int           // 0 to 127
}

// quantizerOfNoFrame stands for a picture that got no bits at all: coarser than any.
const quantizerOfNoFrame = 127

// Encode turns waiting pictures into frames for sink until ctx ends, which is no error, or
// until encoder or sink fail.
func (p *Pipeline) Encode(ctx context.Context, enc *encoder.Encoder, sink Sink) error {
	select {
	case pic := <-p.ready: // left over from the stream before
		p.free <- pic
	default:
	}
	p.keyFrames = keyFrameSize{ownerRate: enc.Config().Bitrate}
	p.active.Store(true)
	defer p.active.Store(false)
	if p.rate.streamInterval > 0 {
		p.beginDegradation(p.rate.streamInterval, enc.Config())
		defer p.endDegradation()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case pic := <-p.ready:
			p.stages.encodeStep.begin(v4l2.Now())
			err := p.encodePicture(enc, pic, sink)
			p.stages.encodeStep.end()
			p.free <- pic
			if err != nil {
				return err
			}
		}
	}
}

// encodePicture encodes and sends one picture as network and load allow.
func (p *Pipeline) encodePicture(enc *encoder.Encoder, pic *picture, sink Sink) error {
	start := v4l2.Now()
	if held, err := p.followAdvice(enc, sink, pic.at); held || err != nil {
		return err
	}
	pixels, err := p.degradation.shrinkPicture(&pic.pixels.YCbCr)
	if err != nil {
		return err
	}
	if err := p.sendFrame(enc, pixels, pic.at, sink); err != nil {
		return err
	}
	p.lastResult.encodeTime = p.lastResult.encodedAt - start
	p.lastResult.convertTime, p.lastResult.interval = pic.convertTime, pic.interval
	return p.reviewLoad(enc)
}

// sendFrame makes a frame of the pixels captured at the given time and hands it to sink.
func (p *Pipeline) sendFrame(enc *encoder.Encoder, pixels *image.YCbCr, at time.Duration, sink Sink) error {
	start := v4l2.Now()
	f, err := enc.Encode(pixels, p.heldTime.encoderTime(at), sink.KeyFrameWanted())
	if err != nil {
		return err
	}
	if len(f.Bytes) == 0 {
		p.stages.Skipped.Add(1) // the rate control's choice
		p.lastResult = result{encodedAt: v4l2.Now(), quantizer: quantizerOfNoFrame}
		return nil
	}
	encodedAt := p.stages.Encode.addSince(start)
	p.lastResult = result{encodedAt: encodedAt, quantizer: f.Quantizer}
	if err := sink.Send(f.Bytes, f.Key, at); err != nil {
		return err
	}
	p.stages.Send.addSince(encodedAt)
	if f.Key {
		p.stages.KeyFrames.Add(1)
	}
	p.stages.Frames.Add(1)
	p.stages.Bytes.Add(int64(len(f.Bytes)))
	return nil
}

// EncodeFile sends every picture of a file as fast as the encoder goes, in the caller's one
// goroutine, until io.EOF. Where the format allows it, pictures are read straight from the
// file's mapping.
func (p *Pipeline) EncodeFile(ctx context.Context, c Camera, enc *encoder.Encoder, sink Sink) error {
	encode := func(b v4l2.Buffer) error {
		if pixels, ok := p.converter.AliasBuffer(b.Bytes); ok {
			return p.sendFrame(enc, pixels, b.At, sink)
		}
		pixels := &p.pictures[0].pixels.YCbCr
		if err := p.converter.Convert(pixels, b.Bytes); err != nil {
			return err
		}
		return p.sendFrame(enc, pixels, b.At, sink)
	}
	for ctx.Err() == nil {
		if err := c.Next(bufferTimeout, encode); err != nil {
			return err
		}
	}
	return nil
}
