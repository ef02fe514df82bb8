// Spans of pictures that come early, late and out of order.

package encoder

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestClockFollowsTheCameraWithinReason(t *testing.T) {
	const ms = time.Millisecond
	cases := []struct {
		name string
		at   []time.Duration
		want []int64 // ticks of 1/90000 s at which spans end, less the first one's length
	}{
		{
			"30 pictures a second are 3000 ticks apart",
			[]time.Duration{0, time.Second / 30, 2 * time.Second / 30, 3 * time.Second / 30},
			[]int64{0, 3000, 6000, 9000},
		},
		{"it starts at 0 whenever that is", []time.Duration{time.Hour, time.Hour + 40*ms}, []int64{0, 3600}},
		{"half the rate is twice the time", []time.Duration{0, 66 * ms, 132 * ms}, []int64{0, 5940, 11880}},
		{
			"a stall counts as eight pictures",
			[]time.Duration{0, 3 * time.Second, 3*time.Second + 40*ms}, []int64{0, 24000, 27600},
		},
		{"a burst counts as half a picture", []time.Duration{0, 1 * ms, 2 * ms}, []int64{0, 1500, 3000}},
		{"time that stands still goes on", []time.Duration{5 * ms, 5 * ms}, []int64{0, 1500}},
		{"time that runs backwards goes on", []time.Duration{time.Hour, 0, 40 * ms}, []int64{0, 1500, 5100}},
		{"the ends of time do not overflow", []time.Duration{-1 << 63, 1<<63 - 1, 0}, []int64{0, 1500, 3000}},
	}
	for _, c := range cases {
		clock := newClock(30)
		var got []int64
		for _, at := range c.at {
			got = append(got, endOfSpan(t, &clock, at)-clock.lead)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestClockOfACameraFasterThanItSaidKeepsTheTime(t *testing.T) {
	clock, last, now := newClock(5), int64(-1), int64(0)
	for i := range 300 { // 10 s at 30 pictures a second
		now = endOfSpan(t, &clock, time.Hour+time.Duration(i)*time.Second/30) - clock.lead
		if now <= last {
			t.Fatalf("picture %d at %d ticks, the one before at %d", i, now, last)
		}
		last = now
	}
	if passed := int64(299 * ticksPerSecond / 30); now < passed || now > passed+ticksPerSecond/5 {
		t.Errorf("after 299 pictures of a camera of 30 a second %d ticks, want %d and at most one interval more",
			now, passed)
	}
}

// endOfSpan fails the test unless the span begins where the last one ended, and has a length.
func endOfSpan(t *testing.T, c *clock, at time.Duration) int64 {
	t.Helper()
	last := c.end
	start, length := c.spanOf(at)
	if start != last || length <= 0 {
		t.Fatalf("the span of a picture at %v is %d ticks from %d on, the one before ended at %d",
			at, length, start, last)
	}
	return start + length
}

func TestClockGoesOnWhenTheNominalRateChanges(t *testing.T) {
	clock, now := newClock(30), time.Hour
	for _, fps := range []int{30, 10, 120, 1, 30} {
		clock.interval = newClock(fps).interval
		endOfSpan(t, &clock, now)
		before := clock.end
		now += time.Second / 30
		if got := endOfSpan(t, &clock, now) - before; got > 2*3000 && got > clock.interval {
			t.Errorf("at %d fps the picture after 1/30 s spans %d ticks", fps, got)
		}
		now += time.Second / 30
	}
}
