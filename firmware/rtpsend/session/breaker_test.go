// RFC 8083 in plain time: an hour of reports in a microsecond.

package session

import (
	"testing"
	"time"
)

// A world feeds a breaker with a frame of 3 packets and 2,500 bytes each 1/30 s and
// with a report each second.
type world struct {
	breaker
	now             time.Duration
	packets, octets uint64
	sent            int // frames that flowed
	faults          []Fault
}

// run lets d pass; report gives what the receiver says each second, false: nothing.
func (w *world) run(
	d time.Duration, report func(packets uint64) (highest uint32, loss float64, rtt time.Duration, ok bool),
) {
	for end := w.now + d; w.now < end; {
		for range 30 {
			w.now += time.Second / 30
			ok, found := w.checkFlow(w.now)
			if found != NoFault {
				w.faults = append(w.faults, found)
			}
			if ok {
				w.sent++
				w.packets += 3
				w.octets += 2500
			}
		}
		if highest, loss, rtt, ok := report(w.packets); ok {
			w.noteHeard(w.now)
			if found := w.noteReport(w.now, highest, loss, rtt, w.packets, w.octets); found != NoFault {
				w.faults = append(w.faults, found)
			}
		}
	}
}

func well(packets uint64) (uint32, float64, time.Duration, bool) {
	return uint32(packets), 0, 20 * time.Millisecond, true
}
func nothing(uint64) (uint32, float64, time.Duration, bool) { return 0, 0, 0, false }
func atZero(uint64) (uint32, float64, time.Duration, bool)  { return 7, 1, 20 * time.Millisecond, true }
func jammed(p uint64) (uint32, float64, time.Duration, bool) {
	return uint32(p / 2), 0.5, 2 * time.Second, true
}
func lossy5(p uint64) (uint32, float64, time.Duration, bool) {
	return uint32(p), 0.05, 50 * time.Millisecond, true
}

func TestCircuitBreaksForWhatItShouldAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(uint64) (uint32, float64, time.Duration, bool)
		then   func(uint64) (uint32, float64, time.Duration, bool)
		want   Fault
		after  time.Duration // seconds of then until the break, at most
	}{
		{"a good receiver", well, well, NoFault, 0},
		{"one that never reports, such as Janus", nothing, nothing, NoFault, 0},
		{"5 % loss at 50 ms is no congestion", well, lossy5, NoFault, 0},
		{"reports stop", well, nothing, Silent, 16 * time.Second},
		{"nothing arrives", well, atZero, Stuck, 5 * time.Second},
		{"half is lost over a queue of 2 s", well, jammed, Congested, 5 * time.Second},
	} {
		var w world
		w.run(10*time.Second, c.before)
		if len(w.faults) != 0 {
			t.Fatalf("%s: broken at once: %v", c.name, w.faults)
		}
		w.run(max(c.after, 5*time.Minute), c.then)
		if c.want == NoFault {
			if len(w.faults) != 0 {
				t.Errorf("%s: %v, want none", c.name, w.faults)
			}
			continue
		}
		if len(w.faults) == 0 || w.faults[0] != c.want {
			t.Errorf("%s: %v, want %v", c.name, w.faults, c.want)
			continue
		}
		w2 := world{}
		w2.run(10*time.Second, c.before)
		w2.run(c.after, c.then)
		if len(w2.faults) != 1 {
			t.Errorf("%s: %v after %v, want one break", c.name, w2.faults, c.after)
		}
	}
}

func TestPausesGrowAndTheReceiversReturnEndsThem(t *testing.T) {
	var w world
	w.run(10*time.Second, well)
	sent := w.sent
	w.run(10*time.Minute, nothing)
	// 15 s of silence each, then pauses of 10, 20, 40, 80, 160, 300 s.
	if n := len(w.faults); n < 5 || n > 6 || w.sent-sent > 30*6*16 {
		t.Errorf("%d breaks, %d frames in 10 minutes of silence, want 5 or 6 breaks", n, w.sent-sent)
	}
	before := w.sent
	w.run(2*time.Second, well)
	if got := w.sent - before; got < 25 {
		t.Errorf("%d frames in the two seconds of the receiver's return, want those of the second one", got)
	}
}
