package v4l2

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSizesAreReadWhateverTheirKind(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  uint32
		union [6]uint32
		want  Size
		ok    bool
	}{
		{"one size", discrete, [6]uint32{640, 480}, at(640, 480), true},
		{"sizes in steps", stepwise, [6]uint32{48, 1920, 16, 32, 1080, 8},
			Size{Width: 1920, Height: 1080, MinWidth: 48, MinHeight: 32, StepX: 16, StepY: 8}, true},
		{"sizes whose largest is not a whole number of steps", stepwise, [6]uint32{48, 1930, 16, 32, 1085, 8},
			Size{Width: 1920, Height: 1080, MinWidth: 48, MinHeight: 32, StepX: 16, StepY: 8}, true},
		{"any size, by a driver that tells no step", continuous, [6]uint32{16, 4096, 0, 16, 2160, 0},
			Size{Width: 4096, Height: 2160, MinWidth: 16, MinHeight: 16, StepX: 1, StepY: 1}, true},
		{"a range beyond all reason is cut", continuous, [6]uint32{16, 1 << 31, 1, 16, 1 << 20, 1},
			Size{Width: 16384, Height: 16384, MinWidth: 16, MinHeight: 16, StepX: 1, StepY: 1}, true},
		{"one beyond all reason is left out", discrete, [6]uint32{1 << 20, 480}, Size{}, false},
		{"none", discrete, [6]uint32{}, Size{}, false},
		{"a range that ends before it begins", stepwise, [6]uint32{640, 320, 8, 480, 240, 8}, Size{}, false},
		{"a kind that nobody knows", 9, [6]uint32{640, 480}, Size{}, false},
	} {
		q := frameSizes{kind: c.kind, union: c.union}
		got, ok := q.readSize()
		if ok != c.ok || ok && cmp.Diff(c.want, got) != "" {
			t.Errorf("%s: size = %+v, %v, want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestRatesAreReadWhateverTheirKind(t *testing.T) {
	const fifth, thirtieth = time.Second / 5, time.Second / 30
	for _, c := range []struct {
		name  string
		kind  uint32
		union [6]uint32
		want  Size
		more  bool
	}{
		{"one rate", discrete, [6]uint32{1, 30}, Size{Intervals: []time.Duration{thirtieth}}, true},
		{"a fraction of nothing", discrete, [6]uint32{1, 0}, Size{}, true},
		{"any rate", continuous, [6]uint32{1, 30, 1, 5, 7, 9}, Size{Shortest: thirtieth, Longest: fifth}, false},
		{"rates in steps", stepwise, [6]uint32{1, 30, 1, 5, 1, 30},
			Size{Shortest: thirtieth, Longest: fifth, StepInterval: thirtieth}, false},
		{"a range that ends before it begins", stepwise, [6]uint32{1, 5, 1, 30, 1, 30}, Size{}, false},
	} {
		var got Size
		q := frameIntervals{kind: c.kind, union: c.union}
		if more := q.addTo(&got); more != c.more || cmp.Diff(c.want, got) != "" {
			t.Errorf("%s: %+v, more %v, want %+v, %v", c.name, got, more, c.want, c.more)
		}
	}
}

func TestNearestIntervalOfARange(t *testing.T) {
	any := Size{Shortest: time.Second / 60, Longest: time.Second}
	steps := Size{Shortest: 10 * time.Millisecond, Longest: 100 * time.Millisecond,
		StepInterval: 20 * time.Millisecond}
	for _, c := range []struct {
		name    string
		s       Size
		fps     int
		want    time.Duration
		tooSlow bool
	}{
		{"the wish itself where any will do", any, 24, time.Second / 24, false},
		{"the fastest there is", any, 120, time.Second / 60, true},
		{"a faster one than the slowest wish", Size{Shortest: time.Second / 60, Longest: time.Second / 10}, 5,
			time.Second / 10, false},
		{"the next faster step", steps, 30, 30 * time.Millisecond, false},
		{"the step itself", steps, 20, 50 * time.Millisecond, false},
		{"the first step", steps, 120, 10 * time.Millisecond, true},
	} {
		if got, tooSlow := nearestInterval(c.fps, c.s); got != c.want || tooSlow != c.tooSlow {
			t.Errorf("%s: %v, too slow %v, want %v, %v", c.name, got, tooSlow, c.want, c.tooSlow)
		}
	}
}
