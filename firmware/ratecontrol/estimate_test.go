package ratecontrol

import (
	"testing"
	"time"
)

// A browser tells nothing but what it can take, each second.
func TestRateFollowsTheReceiversEstimateDownAndUpAndForgetsIt(t *testing.T) {
	c := New(600_000)
	now := time.Hour
	steady := func(seconds int, estimate float64) (rate int) {
		for range seconds {
			if estimate > 0 {
				c.NoteEstimate(now, estimate)
			}
			for range 30 {
				rate, _ = c.Advise(now)
				c.NoteSent(now, max(rate/8/30, 1), max(rate/8/30-headers, 1))
				now += interval
			}
		}
		return rate
	}
	for _, step := range []struct {
		name      string
		seconds   int
		estimate  float64
		low, high int
	}{
		{"nobody says anything", 10, 0, 565_000, 582_000},
		{"more than the owner allows", 5, 1_238_168, 565_000, 582_000},
		{"half", 5, 310_000, 270_000, 310_000},
		{"a little more", 5, 350_000, 310_000, 350_000},
		{"nothing", 5, 1, minRate, minRate},
		{"half again", 20, 310_000, 270_000, 310_000},
		{"the viewer has left", 15, 0, 565_000, 582_000},
	} {
		if got := steady(step.seconds, step.estimate); got < step.low || got > step.high {
			t.Errorf("%s: %d bit/s after %d s, want %d to %d", step.name, got, step.seconds, step.low, step.high)
		}
	}
	if cuts := c.Cuts(); cuts[Estimated] == 0 || cuts[Queue]+cuts[Late]+cuts[Losses]+cuts[Silence] != 0 {
		t.Errorf("cuts %v, want those by the receiver's word alone", cuts)
	}
}
