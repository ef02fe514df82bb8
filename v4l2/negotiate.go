// From what a camera offers to a mode that runs: tries the ranked choices until one starts, and
// hears later whether that one gives pictures.

package v4l2

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// negotiationLimit bounds the time of one Open: a camera that lets every request run into uvcvideo's
// own limit (5 s) would hold it for minutes. The next Open goes on where this one ended: ErrModesLeft.
const negotiationLimit = 12 * time.Second

// negotiate starts the first choice that did not fail before and does not fail now.
//
// Any error but those of isOutsideMode is the mode's: cameras answer with EIO, EPIPE, EPROTO,
// EINVAL, ENOMEM or ETIMEDOUT to a mode that they list and cannot do, and take the next one.
func (c *Camera) negotiate(r Request) error {
	offers, err := c.dev.ListOffers()
	if err != nil {
		return fmt.Errorf("list formats: %w", err)
	}
	c.ranked = Rank(r, offers)
	if len(c.ranked) == 0 {
		return fmt.Errorf("%w: it offers none of YUYV, UYVY, NV12, YU12, MJPG", ErrNotCapture)
	}
	if r.Modes == nil {
		r.Modes = new(Modes)
	}
	c.record = r.Modes.find(c.id, r)
	before := slices.Clone(c.record.Failed)
	err = c.startFirst()
	if isUnplugged(err) {
		c.record.Failed = before // a shaky plug answers with anything
	}
	if err == nil {
		c.fallback += c.record.explainInstead(c.ranked, c.choice.mode())
	}
	c.record.forgetCrowded()
	return err
}

// startFirst starts the first choice that can be started.
func (c *Camera) startFirst() error {
	began := c.dev.Now()
	var err error
	var rateless []Choice // failed only because their rate could not be set
	choices := c.record.order(c.ranked)
	for i, choice := range choices {
		if err = c.startChoice(choice, true); err == nil || isOutsideMode(err) {
			return err
		}
		if errors.Is(err, errRate) {
			rateless = append(rateless, choice)
		}
		c.record.fail(choice.mode(), err)
		if left := len(choices) - i - 1; left > 0 && c.dev.Now()-began > negotiationLimit {
			return fmt.Errorf("%d modes failed within %v, %d %w; the last one: %w",
				i+1, negotiationLimit, left, ErrModesLeft, err)
		}
	}
	// A camera may be unable to set any rate and stream all the same.
	for _, choice := range rateless {
		if err = c.startChoice(choice, false); err == nil || isOutsideMode(err) {
			return err
		}
	}
	return c.endRound(err)
}

// endRound makes the next Open begin with the first mode again.
func (c *Camera) endRound(err error) error {
	none := &NoModeError{Camera: c.id, Failed: c.record.Failed, Err: err}
	c.record.Works, c.record.Failed = nil, nil
	return none
}

// errLayout means that the driver's answer to SetFormat cannot be used, errRate that it could not
// set the rate.
var (
	errLayout = errors.New("the driver answered with another format")
	errRate   = errors.New("the rate cannot be set")
)

func (c *Camera) startChoice(choice Choice, withRate bool) error {
	layout, err := c.dev.SetFormat(choice.Format, choice.Width, choice.Height)
	if err != nil {
		return fmt.Errorf("set %v %dx%d: %w", choice.Format, choice.Width, choice.Height, err)
	}
	if layout.Format != choice.Format {
		return fmt.Errorf("set %v %dx%d: %w: %v", choice.Format, choice.Width, choice.Height, errLayout, layout)
	}
	if err := layout.Check(); err != nil {
		return fmt.Errorf("set %v %dx%d: %w: %w", choice.Format, choice.Width, choice.Height, errLayout, err)
	}
	interval := choice.Interval
	if withRate {
		taken, err := c.dev.SetInterval(choice.Interval)
		if err != nil {
			return fmt.Errorf("set %v between pictures: %w: %w", choice.Interval, errRate, err)
		}
		if taken > 0 {
			interval = taken
		}
	}
	if err := c.dev.Start(bufferCount); err != nil {
		return fmt.Errorf("start %v: %w", layout, err)
	}
	c.choice, c.layout, c.interval, c.fallback = choice, layout, interval, choice.fallback
	return nil
}

// ModeWorks remembers that the present mode gave a picture.
func (c *Camera) ModeWorks() { c.record.work(c.choice.mode()) }

// ModeWorked says whether the present mode gave a picture, now or earlier.
func (c *Camera) ModeWorked() bool {
	return c.record.Works != nil && *c.record.Works == c.choice.mode()
}

// EverWorked says whether any mode of this camera gave a picture.
func (c *Camera) EverWorked() bool { return c.record.Works != nil }

// ModeFailed remembers that the present mode gives no pictures, because of err, so that the next
// Open takes another. It returns a *NoModeError if no other is left: the next Open then begins
// with the first again.
func (c *Camera) ModeFailed(err error) error {
	c.record.fail(c.choice.mode(), err)
	if len(c.record.order(c.ranked)) > 0 {
		return nil
	}
	return fmt.Errorf("camera %s (%s): %w", c.id.Path, c.id.Name, c.endRound(err))
}

// Mode is the present one, as it was asked for.
func (c *Camera) Mode() Mode { return c.choice.mode() }

// IsModeError says whether err, of Next, may be the fault of the mode: the camera is there and
// gives nothing, nothing usable, or its stream broke.
func IsModeError(err error) bool {
	if errors.Is(err, ErrSilent) {
		return true
	}
	// EINVAL is also what an unplugged camera answers, see explainStreamErrno.
	var errno unix.Errno
	return errors.As(err, &errno) && errors.Is(err, ErrGone) && errno != unix.EINVAL && !isOutsideMode(err)
}
