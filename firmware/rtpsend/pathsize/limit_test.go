package pathsize

import (
	"testing"
	"time"
)

func TestLimitStepsDownToWhatFitsNearlyEveryPathAndThenEveryOne(t *testing.T) {
	for _, c := range []struct {
		name       string
		wanted     int
		headerSize int
		mtu        int
		want       []int // at first, and after each step down
	}{
		{"the default with IPv4", 0, 28, 1500, []int{1228, 576}},
		{"the default with IPv6", 0, 48, 1500, []int{1248, 576}},
		{"the owner's Ethernet", 1500, 28, 1500, []int{1500, 1228, 576}},
		{"the owner's Ethernet through a VPN", 1500, 28, 1420, []int{1420, 1228, 576}},
		{"a link below the default", 0, 28, 1000, []int{1000, 576}},
		{"the smallest", 576, 28, 1500, []int{576}},
		{"nothing known of the way out", 0, 28, 0, []int{1228, 576}},
		{"less than the kernel believes in", 0, 28, 68, []int{552}},
	} {
		l := NewLimit(c.wanted, c.headerSize)
		l.NoteMTU(c.mtu)
		for i, want := range c.want {
			if l.Size() != want {
				t.Errorf("%s: %d bytes after %d steps, want %d", c.name, l.Size(), i, want)
			}
			if down, more := l.StepDown(0, 0), i+1 < len(c.want); down != more {
				t.Errorf("%s: step %d down is %v, want %v", c.name, i+1, down, more)
			}
		}
	}
}

func TestLimitFollowsTheWayOutInBothDirections(t *testing.T) {
	l := NewLimit(0, 28)
	for _, c := range []struct{ mtu, want int }{{1500, 1228}, {1100, 1100}, {0, 1100}, {1492, 1228}} {
		if l.NoteMTU(c.mtu); l.Size() != c.want {
			t.Errorf("MTU %d: %d bytes, want %d", c.mtu, l.Size(), c.want)
		}
	}
	l.StepDown(0, 0)
	if l.NoteMTU(1492); l.Size() != Small {
		t.Errorf("%d bytes on the same way out after a step down, want %d", l.Size(), Small)
	}
	if l.NoteMTU(1420); l.Size() != 1228 {
		t.Errorf("%d bytes on another way out, want 1228 again", l.Size())
	}
}

// A retry is a trial that is due, or is not.
type retry struct {
	after     time.Duration // the latest step
	losesRuns bool
	want      bool
}

func TestStepDownIsTakenBackForATrial(t *testing.T) {
	const at = time.Hour
	found := func(l *Limit) { l.StepDown(at, 900) }
	guess := func(l *Limit) { l.Guess(at) }
	for _, c := range []struct {
		name  string
		step  func(*Limit)
		tries []retry
	}{
		{"it seems to have helped", found, []retry{
			{9 * time.Minute, false, false}, {10 * time.Minute, false, true},
			{19 * time.Minute, false, false}, {20 * time.Minute, false, true},
			{39 * time.Minute, false, false}, {40 * time.Minute, false, true},
		}},
		{"packets are lost in runs in spite of it", found, []retry{
			{9 * time.Second, true, false}, {10 * time.Second, true, true},
			{19 * time.Second, true, false}, {20 * time.Second, true, true},
			{39 * time.Second, false, false},
		}},
		{"it was a guess", guess, []retry{
			{2 * time.Minute, false, false}, {3 * time.Minute, false, true},
			{5 * time.Minute, false, false}, {6 * time.Minute, false, true},
		}},
	} {
		l := NewLimit(0, 28)
		for i, try := range c.tries {
			if l.Size() != Small {
				c.step(&l)
			}
			if got := l.Retry(at+try.after, try.losesRuns); got != try.want || got != (l.Size() == 1228) {
				t.Errorf("%s, trial %d after %v: %v, %d bytes", c.name, i, try.after, got, l.Size())
			}
		}
		for range 100 {
			c.step(&l)
			if !l.Retry(at+24*time.Hour, false) {
				t.Fatalf("%s: no trial within a day", c.name)
			}
		}
		c.step(&l)
		l.NoteArrival(899)
		if l.Retry(at+10*time.Minute, false) {
			t.Errorf("%s: the pause begins anew with a packet that nobody blames", c.name)
		}
		l.NoteArrival(1228)
		if !l.Retry(at+10*time.Minute, false) {
			t.Errorf("%s: the pause is no shorter though large packets arrived", c.name)
		}
	}
}

func TestGuessThatDidNotHelpIsTakenBack(t *testing.T) {
	l := NewLimit(1500, 28)
	for i, want := range []int{1228, Small, 1500, 1228} {
		if smaller := l.Guess(0); smaller != (want != 1500) || l.Size() != want {
			t.Errorf("guess %d: %v, %d bytes, want %d", i, smaller, l.Size(), want)
		}
	}
}
