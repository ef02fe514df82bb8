// Package stamp writes a picture's number and time into its luma as big blocks and reads them
// back.
//
// The blocks survive JPEG and VP8 at a low bitrate, so that a test can follow one picture from
// the virtual camera through encoder, network and an independent decoder, and read order, loss
// and delay from the pictures themselves. A stamp fills the first Height rows: quality is
// measured below them.
//
// It has pure functions and owns nothing. Times have a resolution of one microsecond.
package stamp

import "time"

// A stamp is Columns x Rows blocks in the top left corner, most significant bit first:
//
//	24 bits number + 40 bits microseconds + 16 bits CRC = 80 = 20 x 4 blocks
const (
	Columns = 20
	Rows    = 4
	Block   = 16              // pixels, each way: one macroblock of JPEG 4:2:0 and of VP8
	Width   = Columns * Block // pixels: the narrowest picture that can be stamped
	Height  = Rows * Block    // rows that belong to the stamp
)

// dark and bright are within video range, and so far apart that a block can be read that lost
// half of its contrast.
const (
	dark   = 32
	bright = 220
)

const (
	numberMask = 1<<24 - 1
	clockMask  = 1<<40 - 1 // microseconds: wraps after 12.7 days
)

// A Stamp is the number and the time of a picture.
type Stamp struct {
	Number uint32 // low 24 bits of the picture's number
	Clock  uint64 // low 40 bits of the microseconds since 1970
}

// New returns the stamp of picture n with time t, usually the start of exposure.
func New(n uint32, t time.Time) Stamp {
	return Stamp{Number: n & numberMask, Clock: uint64(t.UnixMicro()) & clockMask}
}

// Age is the time from the stamp to now, 0 if the clock went back.
func (s Stamp) Age(now time.Time) time.Duration {
	d := (uint64(now.UnixMicro()) - s.Clock) & clockMask
	if d > clockMask/2 {
		return 0
	}
	return time.Duration(d) * time.Microsecond
}

// Draw writes the stamp over the first Height rows of luma. stride is the bytes from row to row,
// step those from sample to sample: 1 in a plane, 2 in YUYV.
func (s Stamp) Draw(luma []byte, stride, step int) {
	b := s.encodeBits()
	for i := range Columns * Rows {
		v := byte(dark)
		if b[i/8]&(0x80>>(i%8)) != 0 {
			v = bright
		}
		for y := i / Columns * Block; y < (i/Columns+1)*Block; y++ {
			row := luma[y*stride+i%Columns*Block*step:]
			for x := range Block {
				row[x*step] = v
			}
		}
	}
}

// Read reads the stamp in luma, laid out as for Draw. ok is false if the checksum is wrong or
// luma is smaller than a stamp.
func Read(luma []byte, stride, step int) (s Stamp, ok bool) {
	if stride < Width*step || len(luma) < (Height-1)*stride+Width*step {
		return Stamp{}, false
	}
	var b [10]byte
	for i := range Columns * Rows {
		if isBrightBlock(luma[i/Columns*Block*stride+i%Columns*Block*step:], stride, step) {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	for _, v := range b[:3] {
		s.Number = s.Number<<8 | uint32(v)
	}
	for _, v := range b[3:8] {
		s.Clock = s.Clock<<8 | uint64(v)
	}
	return s, b == s.encodeBits()
}

// isBrightBlock reads only the inner quarter of a block: ringing and the loop filter change the
// rest.
func isBrightBlock(luma []byte, stride, step int) bool {
	const from, to = Block / 4, Block * 3 / 4
	sum := 0
	for y := from; y < to; y++ {
		for x := from; x < to; x++ {
			sum += int(luma[y*stride+x*step])
		}
	}
	return sum > (to-from)*(to-from)*(dark+bright)/2
}

// encodeBits returns the bits of the stamp with their checksum.
func (s Stamp) encodeBits() (b [10]byte) {
	for i := range 3 {
		b[i] = byte(s.Number >> (16 - 8*i))
	}
	for i := range 5 {
		b[3+i] = byte(s.Clock >> (32 - 8*i))
	}
	sum := checksum(b[:8])
	b[8], b[9] = byte(sum>>8), byte(sum)
	return b
}

// checksum is CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xffff. It is wrong for a black and
// for a white picture.
func checksum(b []byte) uint16 {
	c := uint16(0xffff)
	for _, v := range b {
		c ^= uint16(v) << 8
		for range 8 {
			carry := c&0x8000 != 0
			c <<= 1
			if carry {
				c ^= 0x1021
			}
		}
	}
	return c
}
