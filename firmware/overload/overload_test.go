package overload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// A spell is a stretch of time in which a picture of the first rung takes the same
// time, and every frame has the same quantizer.
type spell struct {
	lasts     time.Duration
	full      time.Duration // busy with one picture of full size
	quantizer int
}

// replay lets a board live through spells at 30 pictures a second and notes each
// step: second, divisor, shrink.
func replay(c *Controller, spells []spell) (steps [][3]int) {
	const interval = time.Second / 30
	now, n := time.Duration(0), 0
	for _, s := range spells {
		for end := now + s.lasts; now < end; now += interval {
			n++
			r := c.Rung()
			if n%r.Divisor != 0 {
				continue
			}
			if c.Observe(now, s.full/time.Duration(r.Shrink*r.Shrink), s.quantizer) != "" {
				steps = append(steps, [3]int{int(now.Seconds()), c.Rung().Divisor, c.Rung().Shrink})
			}
		}
	}
	return steps
}

func TestLadderIsWalkedAsTheBoardAllows(t *testing.T) {
	cases := []struct {
		name   string
		spells []spell
		want   [][3]int // second, divisor, shrink
	}{
		{"a board with room changes nothing in a day", []spell{{24 * time.Hour, 10 * ms, 40}}, nil},
		{"80 percent is not too much", []spell{{time.Hour, 26 * ms, 40}}, nil},
		{"one slow second is forgiven",
			[]spell{{10 * time.Second, 10 * ms, 40}, {time.Second, 60 * ms, 40}, {time.Hour, 10 * ms, 40}}, nil},
		{"a start that is busy for six seconds costs nothing",
			[]spell{{6 * time.Second, 60 * ms, 40}, {time.Hour, 10 * ms, 40}}, nil},
		{"90 percent halves the rate once two seconds after the start showed it", []spell{{time.Hour, 30 * ms, 40}},
			[][3]int{{7, 2, 1}}},
		{"twice too slow goes to a third at once", []spell{{time.Hour, 70 * ms, 40}}, [][3]int{{7, 3, 1}}},
		{"four times too slow takes half the size, half the rate", []spell{{time.Hour, 140 * ms, 40}},
			[][3]int{{7, 2, 2}}},
		{"a hopeless board goes to the end and stays there", []spell{{time.Hour, 5 * time.Second, 40}},
			[][3]int{{7, 3, 4}}},
		{"a busy minute costs 40 s of half the rate", []spell{{time.Minute, 30 * ms, 40}, {time.Hour, 10 * ms, 40}},
			[][3]int{{7, 2, 1}, {60, 1, 1}}},
		{"what would be too much above is not tried",
			[]spell{{20 * time.Second, 30 * ms, 40}, {5 * time.Hour, 28200 * time.Microsecond, 40}},
			[][3]int{{7, 2, 1}}},
		{"several rungs are climbed one at a time", []spell{{10 * time.Second, 70 * ms, 40}, {time.Hour, 10 * ms, 40}},
			[][3]int{{7, 3, 1}, {47, 2, 1}, {88, 1, 1}}},
		{"a bitrate that is too small halves the rate after five seconds",
			[]spell{{30 * time.Second, 10 * ms, 110}, {time.Hour, 10 * ms, 60}},
			[][3]int{{5, 2, 1}, {10, 3, 1}, {15, 2, 2}, {21, 3, 2}, {26, 3, 4}}},
		{"fine frames bring the rate back", []spell{{6 * time.Second, 10 * ms, 110}, {10 * time.Minute, 10 * ms, 20}},
			[][3]int{{5, 2, 1}, {45, 1, 1}}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, replay(New(time.Second/30, 640, 480), c.spells)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A processor that clocks down as soon as it has little to do looks better than it is.
func TestClimbThatDoesNotHoldDoublesTheWait(t *testing.T) {
	c := New(time.Second/30, 640, 480)
	var waits []int
	stepped := time.Duration(0)
	for now := time.Duration(0); now < 30*time.Minute; now += time.Second / 30 * time.Duration(c.Rung().Divisor) {
		busy := 30 * ms
		if c.Rung().Divisor > 1 {
			busy = 20 * ms
		}
		switch c.Observe(now, busy, 40) {
		case Load:
			stepped = now
		case Better:
			waits = append(waits, int((now - stepped).Seconds()))
		}
	}
	if diff := cmp.Diff([]int{40, 81, 161, 241, 241, 241, 241, 241, 241}, waits); diff != "" {
		t.Errorf("seconds before each climb (-want +got):\n%s", diff)
	}
}

func TestOutageOfTheCameraIsNoVerdict(t *testing.T) {
	c := New(time.Second/30, 640, 480)
	for now := time.Duration(0); now < time.Hour; now += 10 * time.Second {
		for i := range 20 { // two thirds of a second, each picture far too slow
			if why := c.Observe(now+time.Duration(i)*33*ms, 100*ms, 40); why != "" {
				t.Fatalf("stepped after %v: %s", now, why)
			}
		}
	}
	c.Observe(0, 100*ms, 40) // and time that runs backwards starts anew
	if why := c.Observe(500*ms, 100*ms, 40); why != "" || c.Rung() != (Rung{1, 1}) {
		t.Errorf("after time ran backwards: %q, %+v", why, c.Rung())
	}
}

func TestCameraThatSlowsInTheDarkIsNoOverload(t *testing.T) {
	c := New(time.Second/30, 640, 480)
	c.SetInterval(time.Second / 15)
	for now := time.Duration(0); now < time.Minute; now += time.Second / 15 {
		if why := c.Observe(now, 40*ms, 40); why != "" {
			t.Fatalf("40 ms of 67 made it step after %v: %s", now, why)
		}
	}
	c.SetInterval(time.Millisecond) // a burst is no reason to hurry
	if c.interval != time.Second/30 {
		t.Errorf("interval is %v, want the nominal one", c.interval)
	}
}

func TestSmallPicturesAreNotShrunkToNothing(t *testing.T) {
	for _, c := range []struct{ width, height, shrink int }{
		{1280, 720, 4}, {640, 480, 4}, {320, 240, 2}, {160, 120, 1},
	} {
		o := New(time.Second/30, c.width, c.height)
		replay(o, []spell{{time.Minute, time.Minute, 40}})
		if got := o.Rung().Shrink; got != c.shrink {
			t.Errorf("%dx%d is shrunk by %d at worst, want %d", c.width, c.height, got, c.shrink)
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	c, now := New(time.Second/30, 640, 480), time.Duration(0)
	if got := testing.AllocsPerRun(1000, func() { now += 33 * ms; c.Observe(now, 10*ms, 40) }); got != 0 {
		t.Errorf("%v allocations for a picture, want 0", got)
	}
}
