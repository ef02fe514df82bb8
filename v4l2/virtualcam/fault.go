// Virtual webcam: what it can do wrong, each as seen of a real camera. Pure but for the
// source that it asks. Spec: UVC 1.1 section 2.4.3.3 (error bit), ITU-T T.81 annex B.

package virtualcam

import (
	"encoding/binary"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Faults make a camera misbehave until they are taken back. Several at once are meant to
// be possible.
type Faults struct {
	// Until is what takes the faults back without Inject, as it does for firmware that hangs.
	Until Cure

	Hang   bool // stays plugged in and answers control requests, but sends no picture
	Stall  bool // answers each bulk transfer with STALL, as firmware that lost its way
	Refuse bool // stalls the commit that begins a stream: VIDIOC_STREAMON fails

	// ErrorBit sets the error bit in the header of each payload: uvcvideo drops the picture
	// itself, or flags the buffer when it was loaded with nodrop=1.
	ErrorBit bool
	Half     bool // only the first half of each picture: a cut JPEG, a short YUYV
	Empty    bool // no bytes between the headers of a picture
	// Resize sends pictures of another size than was agreed on, if the source has one.
	Resize bool
	// NoHuffman leaves the Huffman tables out of each JPEG, as many cameras do (AVI1). It
	// needs a source that uses the tables of annex K, as the Pattern does.
	NoHuffman bool
}

// A Cure is what a host can do to a camera that it sees no more pictures of.
type Cure byte

// Cures, none by default.
const (
	NoCure        Cure = iota // only a call of Camera.Inject
	Reset                     // a reset of its port, which is also what follows the loss of its power
	Configuration             // a new configuration, which a reset brings too
)

// cure takes the faults back that it heals.
func (c *Camera) cure(by Cure) {
	c.mu.Lock()
	healed := c.faults.Until == by
	if healed {
		c.faults = Faults{}
	}
	c.mu.Unlock()
	if healed {
		c.kick()
	}
}

// otherSize is a size of the source that was not agreed on, the agreed one if there is
// no other.
func otherSize(agreed Size, all []Size) Size {
	for _, s := range all {
		if s != agreed {
			return s
		}
	}
	return agreed
}

// spoil does to a picture what f says; it may change b.
func (f Faults) spoil(format pixfmt.FourCC, b []byte) []byte {
	if f.NoHuffman && format == pixfmt.MJPG {
		b = withoutHuffman(b)
	}
	switch {
	case f.Empty:
		return b[:0]
	case f.Half:
		return b[:len(b)/2]
	}
	return b
}

// withoutHuffman is a copy of a JPEG without its DHT segments; what is not one is
// returned as it is.
func withoutHuffman(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		end := at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		switch {
		case end > len(b):
			return b
		case b[at+1] == markerSOS:
			return concat(b[:2], out, b[at:])
		case b[at+1] != markerDHT:
			out = append(out, b[at:end]...)
		}
		at = end
	}
	return b
}
