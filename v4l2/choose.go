// The choice of format, size and rate: a pure function over what a camera offers.

package v4l2

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// maxRawRate is the maximum bytes per second of uncompressed pictures over the bus. A
// high-speed isochronous endpoint carries at most 3 transactions of 1024 bytes in each of
// 8000 microframes = 24.6 MB/s (USB 2.0 section 5.6.3), less what other devices on the bus
// have reserved. 640x480 YUYV at 30/s takes 18.4 MB/s and fits; 1280x720 at 30/s takes
// 55.3 MB/s and does not.
const maxRawRate = 20_000_000

// rateSlack lets 29.97 count as 30.
const rateSlack = 0.05

// An Offer is one format of a camera with the sizes it comes in.
type Offer struct {
	Format pixfmt.FourCC `json:"format"`
	Sizes  []Size        `json:"sizes,omitempty"` // none: the driver does not say
}

// A Size is a picture size, or a range of sizes, with its rates. In a range the
// rates are those of the largest size. The steps of a single size are 0.
type Size struct {
	Width     int             `json:"width"` // the largest
	Height    int             `json:"height"`
	MinWidth  int             `json:"min_width"`
	MinHeight int             `json:"min_height"`
	StepX     int             `json:"step_x,omitempty"`
	StepY     int             `json:"step_y,omitempty"`
	Intervals []time.Duration `json:"intervals_ns,omitempty"` // none: the driver does not say, or it is a range
	// A range of rates: any interval between Shortest and Longest, or only those in steps
	// of StepInterval from Shortest. All are 0 if there is no range.
	Shortest     time.Duration `json:"min_interval_ns,omitempty"`
	Longest      time.Duration `json:"max_interval_ns,omitempty"`
	StepInterval time.Duration `json:"step_interval_ns,omitempty"`
}

// A Choice is what to ask the driver for, and why.
type Choice struct {
	Format        pixfmt.FourCC
	Width, Height int
	Interval      time.Duration
	Why           string // for an owner
	fallback      string // instead of which format the owner gets this one
	raw           bool   // uncompressed and within the request's RawRate
	sizeRank      int    // how far the size is from the requested one, see nearestSize
	tooSlow       bool   // slower than the requested rate, or than the best of its size
}

// Choose ranks what a camera offers against a request, best first:
//
//   - by size: the requested one, else the largest within it, else the smallest beyond it;
//   - by rate: one that is fast enough;
//   - by format: uncompressed where the bus can carry it (no decoding, no JPEG noise under the
//     VP8), the one that needs the least conversion first, and MJPG where it cannot. If the
//     request names a format, only that one is chosen.
//
// Slower rates of each size follow, for a bus that has no room for the best: fewer pictures of
// the requested size come before smaller ones. An empty result means that pixfmt knows none of
// the offered formats.
func Choose(r Request, offers []Offer) []Choice {
	r = r.withDefaults()
	var all []Choice
	for _, o := range offers {
		if !o.Format.Known() || r.Format != 0 && r.Format != o.Format {
			continue
		}
		sizes := o.Sizes
		if len(sizes) == 0 { // ask and read back
			sizes = []Size{{Width: r.Width, Height: r.Height, MinWidth: r.Width, MinHeight: r.Height}}
		}
		for _, s := range sizes {
			best, tooSlow := nearestInterval(r.FPS, s)
			all = append(all, newChoice(r, o.Format, s, best, tooSlow))
			for _, d := range s.Intervals {
				if d > best {
					all = append(all, newChoice(r, o.Format, s, d, true))
				}
			}
		}
	}
	slices.SortStableFunc(all, compareChoices)
	return all
}

// Rank is Choose, and behind a format that the request names all others: a camera that cannot
// do what its owner wants is better than none. The named format comes in its best size first, then
// size counts more than format, as in Choose.
func Rank(r Request, offers []Offer) []Choice {
	ranked := Choose(r, offers)
	if r.Format == 0 {
		return ranked
	}
	others := chooseOthers(r, offers)
	if len(ranked) == 0 {
		for i := range others {
			others[i].fallback = fmt.Sprintf("; instead of %v, which the camera does not offer", r.Format)
		}
		return others
	}
	first := slices.IndexFunc(ranked, func(c Choice) bool { return c.sizeRank != ranked[0].sizeRank })
	if first < 0 {
		first = len(ranked)
	}
	ranked = append(ranked, others...)
	slices.SortStableFunc(ranked[first:], compareChoices)
	return ranked
}

// chooseOthers is Choose among the formats that the request does not name.
func chooseOthers(r Request, offers []Offer) []Choice {
	named := r.Format
	r.Format = 0
	return slices.DeleteFunc(Choose(r, offers), func(c Choice) bool { return c.Format == named })
}

func (c Choice) mode() Mode { return Mode{c.Format, c.Width, c.Height, c.Interval} }

func compareChoices(a, b Choice) int {
	return cmp.Or(
		cmp.Compare(a.sizeRank, b.sizeRank),
		compareBool(!a.tooSlow, !b.tooSlow),
		compareBool(a.raw || a.Format.Compressed(), b.raw || b.Format.Compressed()),
		cmp.Compare(conversionRank(a.Format), conversionRank(b.Format)),
		cmp.Compare(a.Interval, b.Interval),
	)
}

// compareBool puts true before false.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// conversionRank ranks formats by the work that turns them into a picture: none, split one
// plane, split and halve chroma, decode.
func conversionRank(f pixfmt.FourCC) int {
	ranks := []pixfmt.FourCC{pixfmt.YU12, pixfmt.NV12, pixfmt.YUYV, pixfmt.UYVY, pixfmt.MJPG}
	return slices.Index(ranks, f)
}

func newChoice(r Request, f pixfmt.FourCC, s Size, interval time.Duration, tooSlow bool) Choice {
	c := Choice{Format: f, Interval: interval, tooSlow: tooSlow}
	c.Width, c.Height, c.sizeRank = nearestSize(r, s)
	fps := time.Second.Seconds() / c.Interval.Seconds()
	c.Why = fmt.Sprintf("%v %dx%d at %.4g/s", f, c.Width, c.Height, fps)
	if f.Compressed() {
		c.Why += ": compressed, light on the bus"
	} else {
		bytes := float64(c.Width*c.Height*bitsPerPixel(f)/8) * fps
		c.raw = bytes <= float64(r.RawRate)
		c.Why += fmt.Sprintf(": uncompressed, %.1f MB/s", bytes/1e6)
		if !c.raw {
			c.Why += fmt.Sprintf(", more than the %.0f MB/s that the bus is trusted with", float64(r.RawRate)/1e6)
		}
	}
	if c.sizeRank != 0 {
		c.Why += fmt.Sprintf("; nearest to %dx%d", r.Width, r.Height)
	}
	if c.tooSlow {
		c.Why += fmt.Sprintf("; slower than the %d/s asked for", r.FPS)
	}
	return c
}

func bitsPerPixel(f pixfmt.FourCC) int {
	if f == pixfmt.YU12 || f == pixfmt.NV12 {
		return 12
	}
	return 16
}

// nearestSize picks a size out of s and ranks it by its distance from the requested one: 0 is
// that itself, sizes within it come next, the largest first, then those beyond it, the
// smallest first.
func nearestSize(r Request, s Size) (width, height, rank int) {
	width = nearestInRange(r.Width, s.MinWidth, s.Width, s.StepX)
	height = nearestInRange(r.Height, s.MinHeight, s.Height, s.StepY)
	const maxArea = pixfmt.MaxSide * pixfmt.MaxSide
	switch area := min(width, pixfmt.MaxSide) * min(height, pixfmt.MaxSide); {
	case width == r.Width && height == r.Height:
		rank = 0
	case width <= r.Width && height <= r.Height:
		rank = max(1, maxArea-area)
	default:
		rank = maxArea + area
	}
	return width, height, rank
}

// nearestInRange is the largest value of the range that is not above want, or its minimum.
func nearestInRange(want, least, most, step int) int {
	if want >= most || least >= most {
		return most
	}
	if want <= least {
		return least
	}
	return roundDownToStep(want, least, step)
}

// nearestInterval picks the rate within rateSlack of fps; else the next faster one, since the
// reader can leave pictures out; else the fastest there is. If the driver offers no rate, it is
// asked for fps itself.
func nearestInterval(fps int, s Size) (interval time.Duration, tooSlow bool) {
	want := time.Second / time.Duration(fps)
	slack := time.Duration(float64(want) * rateSlack)
	offered := s.Intervals
	if s.Shortest > 0 { // of a range only these two can be nearest
		within := roundDownToStep(min(max(want, s.Shortest), s.Longest), s.Shortest, s.StepInterval)
		offered = append(slices.Clone(offered), within, min(within+s.StepInterval, s.Longest))
	}
	var slower, faster time.Duration
	for _, d := range offered {
		switch {
		case d <= 0:
		case d >= want-slack:
			if slower == 0 || d < slower {
				slower = d
			}
		case d > faster:
			faster = d
		}
	}
	switch {
	case slower != 0 && slower <= want+slack:
		return slower, false
	case faster != 0:
		return faster, false
	case slower != 0:
		return slower, true
	}
	return want, false
}
