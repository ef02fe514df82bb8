// What leaves twice, the second time unasked, on a path that loses packets by chance: the
// answer to a request, since a second request costs another round trip and may be too late,
// and key frames, since whoever asked for one sees nothing new until it is whole.
// Pure but for repeat: time is passed in.

package rtpsend

import "time"

const (
	// repeatAfter is the time between both: longer than most of what disturbs radio lasts.
	repeatAfter = 10 * time.Millisecond

	// maxRepeats is how many packets can wait for it: three key frames of 640x480.
	maxRepeats = 64

	// Of a path that loses less than seldom, one key frame in thirty is not whole; above
	// often, a full queue is the likeliest cause, and more packets make it worse.
	seldom, often = 0.01, 0.10

	// lossMemory is over how many packets that is judged: 8 s at 600 kbit/s.
	lossMemory = 512
)

// repeats are packets that wait to leave a second time, in order of time.
type repeats struct {
	list  [maxRepeats]repeated
	first int
	n     int
}

type repeated struct {
	sequence uint16
	due      time.Duration
}

// add notes a packet that left at now; where there is no room it leaves once.
func (r *repeats) add(now time.Duration, sequence uint16) {
	if r.n < maxRepeats {
		r.list[(r.first+r.n)%maxRepeats] = repeated{sequence, now + repeatAfter}
		r.n++
	}
}

// wait is the time until the next is due; 0: none waits.
func (r *repeats) wait(now time.Duration) time.Duration {
	if r.n == 0 {
		return 0
	}
	return max(r.list[r.first].due-now, 1)
}

// take gives a packet that is due.
func (r *repeats) take(now time.Duration) (sequence uint16, ok bool) {
	if r.n == 0 || r.list[r.first].due > now {
		return 0, false
	}
	sequence = r.list[r.first].sequence
	r.first, r.n = (r.first+1)%maxRepeats, r.n-1
	return sequence, true
}

// repeat sends what is due a second time, within the bounds of what is asked for; its only
// error is ErrClosed. sending is held.
func (s *Sender) repeat(now time.Duration, sent *tally) (wait time.Duration, err error) {
	for {
		sequence, ok := s.repeats.take(now)
		if !ok {
			return s.repeats.wait(now), nil
		}
		packet, _ := s.history.find(sequence)
		switch {
		case packet == nil: // overwritten since
		case !s.resends.take(now, len(packet)):
			sent.resends.Limited++
		default:
			sent.resends.Twice++
			if err := s.sendAgain(packet, sent); err != nil {
				return 0, err
			}
		}
	}
}

// byChance tells whether the path loses packets, at least the given share, and no queue of
// it is to blame as far as is known.
func (d *departures) byChance(least float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost >= least && d.lost <= often && !d.queues()
}
