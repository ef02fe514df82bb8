// The first half: buffers of the camera become pictures. Runs in the goroutine that captures.

package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/v4l2"
)

// bufferTimeout is how long a camera may give no buffer before it counts as hung: longer than
// the longest exposure of a webcam in the dark (about 0.5 s).
const bufferTimeout = 2 * time.Second

// Capture turns buffers into pictures until the camera fails, which is its error, or until none
// of its buffers could be decoded for bufferTimeout (v4l2.ErrUnusable). After the first buffer
// that is a picture it calls first, unless that is nil: JPEGs are decoded until one was whole, also
// while nobody wants pictures. It does not close the camera.
func (p *Pipeline) Capture(c Camera, first func()) error {
	p.stages.buffers.addCamera(c)
	p.unreadable = unreadable{}
	p.unproven = c.Layout().Format.Compressed()
	for {
		p.stages.NoteCaptureStep(v4l2.Now())
		if err := c.Next(bufferTimeout, p.takeBuffer); err != nil {
			return err
		}
		if p.unreadable.inARow > 0 {
			if err := p.unreadable.judge(); err != nil {
				return fmt.Errorf("camera %v: %w", c, err)
			}
			continue
		}
		if first != nil {
			first()
			first = nil
		}
	}
}

// unreadable counts the buffers since the last one that could be decoded.
type unreadable struct {
	inARow int
	since  time.Duration // the first of them
	latest time.Duration
}

// add counts a buffer that cannot be decoded.
func (u *unreadable) add(at time.Duration) {
	if u.inARow == 0 {
		u.since = at
	}
	u.inARow, u.latest = u.inARow+1, at
}

// judge returns an error when nothing could be decoded for too long.
func (u *unreadable) judge() error {
	if u.latest-u.since < bufferTimeout {
		return nil
	}
	return fmt.Errorf("%w: none of the last %d could be decoded", v4l2.ErrUnusable, u.inARow)
}

// convertBuffer makes a picture of one buffer, unless nobody wants pictures now or this one is
// to be left out. One that may be the camera's first whole JPEG is decoded in any case.
func (p *Pipeline) convertBuffer(b v4l2.Buffer) error {
	start, wanted := v4l2.Now(), p.active.Load()
	if !p.unproven && (!wanted || p.leavesOut(b.At)) {
		if !wanted {
			p.unreadable.inARow = 0
		}
		if p.unreadable.inARow == 0 { // else this one would be no better
			p.noteUsable(start)
		}
		return nil
	}
	pic := p.takeFreePicture()
	if err := p.converter.Convert(&pic.pixels.YCbCr, b.Bytes); err != nil {
		p.free <- pic
		if errors.Is(err, convert.ErrBadJPEG) {
			p.stages.Unreadable.Add(1)
			p.unreadable.add(start)
			return nil // the next buffer is a new chance
		}
		return err
	}
	p.noteUsable(start)
	p.unreadable.inARow, p.unproven = 0, false
	if !wanted {
		p.free <- pic
		return nil
	}
	pic.at = b.At
	pic.interval = p.share.interval
	pic.convertTime = p.stages.Convert.addSince(start) - start
	p.stages.Wait.add(start - b.At)
	p.offerPicture(pic)
	return nil
}

// noteUsable notes a buffer that was taken up at start and is not known to be undecodable.
func (p *Pipeline) noteUsable(start time.Duration) {
	p.lastBuffer = start
	p.stages.Usable.Add(1)
}

// leavesOut says whether the stream or a slow board has no use for the buffer of that capture
// time, and counts it.
func (p *Pipeline) leavesOut(at time.Duration) bool {
	if p.rate.leavesOut(at) {
		p.stages.Surplus.Add(1)
		return true
	}
	if p.share.leavesOut(at) {
		p.stages.Shed.Add(1)
		return true
	}
	return false
}

// takeFreePicture returns a picture to write into. With three of them, of which each other
// stage holds one, there always is one, if only the one that waits.
func (p *Pipeline) takeFreePicture() *picture {
	select {
	case pic := <-p.free:
		return pic
	case pic := <-p.ready:
		p.stages.Replaced.Add(1)
		return pic
	}
}

// offerPicture puts a picture before the encoder, in place of one that still waits.
func (p *Pipeline) offerPicture(pic *picture) {
	for {
		select {
		case p.ready <- pic:
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
