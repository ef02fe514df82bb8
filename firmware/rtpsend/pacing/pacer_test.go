// The pacer in plain time. The Sender that obeys it is tested in rtpsend.

package pacing

import (
	"testing"
	"time"
)

// leave passes a frame of n packets of size bytes to p at now, and gives when each left.
func leave(p *Pacer, now, captured time.Duration, n, size int) (at []time.Duration) {
	p.BeginFrame(now, captured, n*size)
	for range n {
		for w := p.AdmitPacket(now, size); w > 0; w = p.AdmitPacket(now, size) {
			now += w
		}
		at = append(at, now)
	}
	p.EndFrame()
	return at
}

func TestPacerSpreadsLargeFramesOverAtMostAnInterval(t *testing.T) {
	const interval = time.Second / 30
	for _, c := range []struct {
		name     string
		packets  int // of 1,250 bytes
		most     time.Duration
		atOnce   int
		interval time.Duration
	}{
		{"a frame of the mean size leaves at once", 2, 0, 2, interval},
		{"twice the mean leaves at once", 4, 0, 4, interval},
		{"three times the mean takes the pace", 6, 14 * time.Millisecond, 4, interval},
		{"a key frame is faster than the pace, and done in an interval", 15, interval + time.Microsecond, 4, interval},
		{"the largest key frame, too", 100, interval + time.Microsecond, 4, interval},
		{"at 5 fps the pace rules, within maxSpread", 15, maxSpread + time.Microsecond, 4, 200 * time.Millisecond},
		{"a second frame of the same moment has no time", 15, 0, 15, 0},
	} {
		p := NewPacer(600_000, false)
		now := time.Hour
		leave(&p, now, now, 1, 100)
		now += time.Second
		at := leave(&p, now, time.Hour+c.interval, c.packets, 1250)
		if took := at[len(at)-1] - now; took > c.most {
			t.Errorf("%s: took %v, want at most %v", c.name, took, c.most)
		}
		n := 0
		for _, one := range at {
			if one == now {
				n++
			}
		}
		if n != c.atOnce {
			t.Errorf("%s: %d packets left at once, want %d", c.name, n, c.atOnce)
		}
	}
}

func TestPacerNeverExceedsItsBurst(t *testing.T) {
	p := NewPacer(600_000, false)
	now := time.Duration(0)
	var at []time.Duration
	for i := range 300 {
		n := 2
		if i%60 == 0 {
			n = 15
		}
		captured := time.Duration(i) * time.Second / 30
		now = max(now, captured)
		left := leave(&p, now, captured, n, 1250)
		now = left[len(left)-1]
		at = append(at, left...)
	}
	for i := range at { // in any 5 ms: the burst, and what a key frame's rate adds
		n := 0
		for j := i; j < len(at) && at[j]-at[i] < 5*time.Millisecond; j++ {
			n++
		}
		if n > 4+3 {
			t.Fatalf("%d packets within 5 ms from %v on, want at most 7", n, at[i])
		}
	}
}
