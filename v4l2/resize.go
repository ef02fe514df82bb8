// A camera whose every picture has another size than the one that was agreed on: some firmware
// takes a size and sends the one it likes. The picture's size counts then.

package v4l2

import (
	"errors"
	"fmt"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// ErrResized is returned by Next when a camera turned out to send pictures of another size than was
// agreed on. The camera stays open, its Layout has the new size, and Next goes on with that.
var ErrResized = errors.New("camera sends pictures of another size")

const (
	// otherSizeLimit is how many pictures of another size in a row, with none of the size that was
	// agreed on before, show that the camera knows no better: a quarter of a second. The first few
	// may be left over from the stream before.
	otherSizeLimit = 8
	// maxOtherArea bounds what a header can make us allocate, in pixels. A camera that was asked for
	// more may send more.
	maxOtherArea = 1920 * 1080
)

// An otherSize is the size of the latest pictures in a row that had none of the agreed size.
type otherSize struct {
	width, height int
	inARow        int
	adopted       bool // once while a camera is open: one that changes its mind is no camera
}

// noteSize takes note of a buffer that was judged.
func (c *Camera) noteSize(why cause, b []byte) {
	o := &c.otherSize
	switch {
	case why == delivered:
		o.inARow = 0
	case why == resized && !o.adopted && c.counters[delivered].Load() == 0:
		h := readJPEGHeader(b)
		if h.width != o.width || h.height != o.height {
			o.width, o.height, o.inARow = h.width, h.height, 0
		}
		o.inARow++
	}
}

// adoptSize takes the pictures' size for the layout's when it is time. Its error is ErrResized then,
// and nil otherwise.
func (c *Camera) adoptSize() error {
	o := &c.otherSize
	if o.inARow < otherSizeLimit || o.adopted {
		return nil
	}
	o.adopted = true
	agreed := c.layout
	// Of an odd side the decoder cuts off the last pixel.
	l, err := pixfmt.New(agreed.Format, o.width&^1, o.height&^1, 0)
	if err != nil || l.Width*l.Height > max(maxOtherArea, agreed.Width*agreed.Height) {
		return nil // they stay what they are: resized
	}
	l.Size = max(l.Size, agreed.Size)
	c.layout = l
	return fmt.Errorf("%w: %dx%d, and %dx%d was agreed", ErrResized, o.width, o.height, agreed.Width, agreed.Height)
}
