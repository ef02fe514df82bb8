// What a camera offers: sizes and rates of each format, discrete ones and ranges. The library
// leaves out continuous ranges of sizes and of rates. Sources: VIDIOC_ENUM_FRAMESIZES,
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

	// maxOffers bounds each listing, in case a driver never ends it.
	maxOffers = 256
)

// frameSizes is struct v4l2_frmsizeenum. Its union is width and height, or for a range the
// minimum, maximum and step of the width, then of the height.
type frameSizes struct {
	index, pixelFormat, kind uint32
	union                    [6]uint32
	reserved                 [2]uint32
}

// frameIntervals is struct v4l2_frmivalenum. Its union is one fraction of a second, or for a
// range the shortest, the longest and the step.
type frameIntervals struct {
	index, pixelFormat, width, height, kind uint32
	union                                   [6]uint32
	reserved                                [2]uint32
}

// ListOffers lists the formats that can become a picture, with sizes and rates.
func (n *node) ListOffers() ([]Offer, error) {
	var all []Offer
	for _, f := range n.listFormats() {
		if f.Known() {
			all = append(all, Offer{Format: f, Sizes: n.listSizes(f)})
		}
	}
	return all, nil
}

// listSizes lists the sizes of a format; a range is one entry. Any error ends the listing as
// EINVAL does: the sizes before it can be asked for, and the driver's answer is read back.
func (n *node) listSizes(f pixfmt.FourCC) []Size {
	var all []Size
	for i := range uint32(maxOffers) {
		q := &frameSizes{index: i, pixelFormat: uint32(f)}
		if ioctl(n.fd, vidiocEnumSizes, unsafe.Pointer(q)) != nil {
			break
		}
		s, ok := q.readSize()
		if ok {
			n.fillRates(f, &s)
			all = append(all, s)
		}
		if q.kind != discrete {
			break
		}
	}
	return all
}

// fillRates fills in the rates of a size.
func (n *node) fillRates(f pixfmt.FourCC, s *Size) {
	for i := range uint32(maxOffers) {
		q := &frameIntervals{
			index: i, pixelFormat: uint32(f), width: uint32(s.Width), height: uint32(s.Height),
		}
		if ioctl(n.fd, vidiocEnumIntervals, unsafe.Pointer(q)) != nil || !q.addTo(s) {
			return
		}
	}
}

// readSize reads one answer; ok is false if it makes no sense or is larger than any Layout. A
// range that reaches beyond is cut.
func (q *frameSizes) readSize() (s Size, ok bool) {
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
		s.Width = roundDownToStep(int(min(u[1], pixfmt.MaxSide)), s.MinWidth, s.StepX)
		s.Height = roundDownToStep(int(min(u[4], pixfmt.MaxSide)), s.MinHeight, s.StepY)
		ok = true
	}
	return s, ok && s.Width > 0 && s.Height > 0
}

// addTo adds one answer to the rates of s and says whether there may be more.
func (q *frameIntervals) addTo(s *Size) (more bool) {
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

// roundDownToStep is the largest value that is not above want in a range that begins at least.
func roundDownToStep[N int | time.Duration](want, least, step N) N {
	return want - (want-least)%max(step, 1)
}

// fraction is numerator/denominator of a second, 0 if the denominator is.
func fraction(numerator, denominator uint32) time.Duration {
	if denominator == 0 {
		return 0
	}
	return time.Duration(numerator) * time.Second / time.Duration(denominator)
}
