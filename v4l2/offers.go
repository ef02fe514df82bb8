// What a camera offers: sizes and rates of a format, discrete ones and ranges. The library
// leaves continuous ranges out, of sizes as of rates. Sources: VIDIOC_ENUM_FRAMESIZES,
// VIDIOC_ENUM_FRAMEINTERVALS.

package v4l2

import (
	"time"
	"unsafe"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const (
	discrete   = 1 // V4L2_FRMSIZE_TYPE_DISCRETE, V4L2_FRMIVAL_TYPE_DISCRETE
	continuous = 2
	stepwise   = 3

	// mostOffers bounds each listing, should a driver never end it.
	mostOffers = 256
)

// frameSizes is struct v4l2_frmsizeenum. Its union is width and height, or of a range
// least, most and step of the width, then of the height.
type frameSizes struct {
	index, pixelFormat, kind uint32
	union                    [6]uint32
	reserved                 [2]uint32
}

// frameIntervals is struct v4l2_frmivalenum. Its union is one fraction of a second, or of a
// range the shortest, the longest and the step.
type frameIntervals struct {
	index, pixelFormat, width, height, kind uint32
	union                                   [6]uint32
	reserved                                [2]uint32
}

// Offers lists the formats that can become a picture, with sizes and rates.
func (n *node) Offers() ([]Offer, error) {
	var all []Offer
	for _, f := range n.formats() {
		if f.Known() {
			all = append(all, Offer{Format: f, Sizes: n.sizes(f)})
		}
	}
	return all, nil
}

// sizes lists the sizes of a format; of a range there is only one entry. An error ends the
// listing as EINVAL does: what was listed can be asked for, and the answer is read back.
func (n *node) sizes(f pixfmt.FourCC) []Size {
	var all []Size
	for i := range uint32(mostOffers) {
		q := &frameSizes{index: i, pixelFormat: uint32(f)}
		if ioctl(n.fd, vidiocEnumSizes, unsafe.Pointer(q)) != nil {
			break
		}
		s, ok := q.size()
		if ok {
			n.rates(f, &s)
			all = append(all, s)
		}
		if q.kind != discrete {
			break
		}
	}
	return all
}

// rates fills in the rates of a size.
func (n *node) rates(f pixfmt.FourCC, s *Size) {
	for i := range uint32(mostOffers) {
		q := &frameIntervals{index: i, pixelFormat: uint32(f), width: uint32(s.Width), height: uint32(s.Height)}
		if ioctl(n.fd, vidiocEnumIntervals, unsafe.Pointer(q)) != nil || !q.add(s) {
			return
		}
	}
}

// size reads one answer; ok is false if it is nonsense or larger than any Layout. Of a range
// that reaches beyond, the part within is taken.
func (q *frameSizes) size() (s Size, ok bool) {
	u := q.union
	switch q.kind {
	case discrete:
		s = Size{Width: int(u[0]), Height: int(u[1]), MinWidth: int(u[0]), MinHeight: int(u[1])}
		ok = u[0] <= pixfmt.MaxSide && u[1] <= pixfmt.MaxSide
	case continuous: // some drivers leave the step 0
		u[2], u[5] = 1, 1
		fallthrough
	case stepwise:
		s = Size{MinWidth: int(u[0]), MinHeight: int(u[3]), StepX: int(u[2]), StepY: int(u[5])}
		if u[0] > min(u[1], pixfmt.MaxSide) || u[3] > min(u[4], pixfmt.MaxSide) {
			return Size{}, false
		}
		s.Width = floor(int(min(u[1], pixfmt.MaxSide)), s.MinWidth, s.StepX)
		s.Height = floor(int(min(u[4], pixfmt.MaxSide)), s.MinHeight, s.StepY)
		ok = true
	}
	return s, ok && s.Width > 0 && s.Height > 0
}

// add adds one answer to the rates of s and tells whether there may be more.
func (q *frameIntervals) add(s *Size) (more bool) {
	u := q.union
	first := fraction(u[0], u[1])
	switch q.kind {
	case discrete:
		if first > 0 {
			s.Intervals = append(s.Intervals, first)
		}
		return true
	case continuous, stepwise:
		last, step := fraction(u[2], u[3]), fraction(u[4], u[5])
		if q.kind == continuous {
			step = 0
		}
		if first > 0 && last >= first {
			s.Shortest, s.Longest, s.StepInterval = first, last, step
		}
	}
	return false
}

// floor is the largest value of a range that begins at least that is not above the wish.
func floor[N int | time.Duration](want, least, step N) N { return want - (want-least)%max(step, 1) }

// fraction is numerator/denominator of a second, 0 if that is no time.
func fraction(numerator, denominator uint32) time.Duration {
	if denominator == 0 {
		return 0
	}
	return time.Duration(numerator) * time.Second / time.Duration(denominator)
}
