// What the receiver itself believes that its path carries: all that a browser behind
// Janus reports. Spec: draft-alvestrand-rmcat-remb-03 section 2.2.

package ratecontrol

import "time"

// estimateTimeout is how long an estimate counts. Chromium and Janus, which passes on the
// lowest of its viewers', repeat theirs every second; when the viewer with the slow link
// leaves, none comes any more.
const estimateTimeout = 4 * time.Second

// An estimate is the latest one.
type estimate struct {
	seen bool
	last time.Duration
	most float64 // bit/s on the wire
}

// NoteEstimate takes the most that the receiver can take, in bit/s.
func (c *Controller) NoteEstimate(now time.Duration, bitrate float64) {
	c.estimate = estimate{seen: true, last: now, most: max(minRate, bitrate)}
	c.cutRate(now, bitrate, Estimated)
}

// limitRate is rate, or less where an estimate counts.
func (e *estimate) limitRate(now time.Duration, rate float64) float64 {
	if e.seen && now-e.last < estimateTimeout {
		return min(rate, e.most)
	}
	return rate
}
