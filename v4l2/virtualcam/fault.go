// The faults of the virtual webcam; each was seen on a real camera. Sources: UVC 1.1 section
// 2.4.3.3 (error bit), ITU-T T.81 annex B.

package virtualcam

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Faults make a camera misbehave until they are taken back. They can be combined.
type Faults struct {
	// Until is the remedy that takes the faults back without Inject, as it does for a camera
	// whose firmware hangs.
	Until Cure
	// Format limits them to streams of one format; 0: all.
	Format pixfmt.FourCC

	Hang   bool // stays plugged in and answers control requests, but sends no picture
	Stall  bool // answers each bulk transfer with STALL, as crashed firmware does
	Refuse bool // stalls the commit that begins a stream: VIDIOC_STREAMON fails

	// ErrorBit sets the error bit in the header of each payload: uvcvideo drops the picture, or
	// flags the buffer if it was loaded with nodrop=1.
	ErrorBit bool
	Half     bool // only the first half of each picture: a cut JPEG, a short YUYV
	Empty    bool // no bytes between the headers of a picture
	// Resize sends pictures of another size than was negotiated, if the source has one.
	Resize bool
	// NoHuffman removes the Huffman tables from each JPEG, as many cameras do (AVI1). It needs
	// a source with the tables of annex K, such as the Pattern.
	NoHuffman bool

	// The rest is of JPEGs. All but Lose are how some healthy cameras send them.

	NoEnd   bool // without the end marker
	Padding int  // bytes behind the picture, none of them a marker
	Surplus bool // eight rows more than was negotiated, if the source can: whole blocks
	Fields  bool // two pictures of half the height in one, if the source can
	Lose    int  // bytes out of the middle, each time in another place
}

// in returns the faults of a stream in this format.
func (f Faults) in(format pixfmt.FourCC) Faults {
	if f.Format != 0 && f.Format != format {
		return Faults{}
	}
	return f
}

// A Cure is a remedy that a host applies to a camera that sends no more pictures.
type Cure byte

// Cures, none by default.
const (
	NoCure        Cure = iota // only a call of Camera.Inject
	Reset                     // a reset of its port, which also follows a loss of power
	Configuration             // a new configuration, which also follows a reset
)

// applyCure takes the faults back if by is their remedy.
func (c *Camera) applyCure(by Cure) {
	c.mu.Lock()
	healed := c.faults.Until == by
	if healed {
		c.faults = Faults{}
	}
	c.mu.Unlock()
	if healed {
		c.wakeFeeder()
	}
}

// otherSize is a size of the source that was not negotiated, or the negotiated one if there is
// no other.
func otherSize(negotiated Size, all []Size) Size {
	for _, s := range all {
		if s != negotiated {
			return s
		}
	}
	return negotiated
}

// damagePicture applies the faults of f to a picture; it may change b.
func (f Faults) damagePicture(format pixfmt.FourCC, b []byte) []byte {
	if f.NoHuffman && format == pixfmt.MJPG {
		b = withoutHuffman(b)
	}
	switch {
	case f.Empty:
		return b[:0]
	case f.Half:
		return b[:len(b)/2]
	case format == pixfmt.MJPG:
		return f.damageEnd(b)
	}
	return b
}

// damageEnd applies the faults at the end of a JPEG.
func (f Faults) damageEnd(b []byte) []byte {
	if f.NoEnd && len(b) > 2 {
		b = b[:len(b)-2]
	}
	if f.Padding > 0 {
		b = concat(b, bytes.Repeat([]byte{0x5a, 0x3c, 0x00}, f.Padding/3+1)[:f.Padding])
	}
	return b
}

// loseBytes takes bytes out of picture n.
func (f Faults) loseBytes(b []byte, n uint32) []byte {
	if f.Lose <= 0 || f.Lose >= len(b) {
		return b
	}
	at := int(n * 7919 % uint32(len(b)-f.Lose)) // a prime: each time in another place
	return concat(b[:at], b[at+f.Lose:])
}

// fillBuffer gets picture n of the source in the size that the faults make of it.
func (f Faults) fillBuffer(source Source, format pixfmt.FourCC, s Size, n uint32, due time.Time) ([]byte, error) {
	if f.Resize {
		s = otherSize(s, source.ListSizes())
	}
	if format != pixfmt.MJPG || !f.Surplus && !f.Fields {
		return source.FillBuffer(format, s, n, due)
	}
	if f.Surplus {
		s.Height += surplusRows
	}
	if !f.Fields {
		return source.FillBuffer(format, s, n, due)
	}
	s.Height /= 2
	upper, err := source.FillBuffer(format, s, n, due)
	if err != nil {
		return nil, err
	}
	upper = bytes.Clone(upper) // the source uses its buffer again
	lower, err := source.FillBuffer(format, s, n, due)
	return concat(upper, lower), err
}

// surplusRows is less than a block of macroblocks, 16 rows.
const surplusRows = 8

// withoutHuffman returns a copy of a JPEG without its DHT segments, or b itself if it is no
// JPEG.
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
