// What leaves twice, the second time unasked, on a path that loses packets by chance: the
// answer to a request, since a second request costs another round trip and may be too late,
// and key frames, since whoever asked for one sees nothing new until it is whole.

package rtpsend

import "time"

const (
	// repeatAfter is the time between both: longer than a packet of somebody else's takes on
	// a slow radio, shorter than a request would.
	repeatAfter = 10 * time.Millisecond

	// maxRepeats is how many packets can wait for it: the largest key frame of 640x480 at
	// 600 kbit/s three times (encoder.Config.MaxIntra).
	maxRepeats = 64

	// Where a packet in a hundred is lost, one key frame of six in seventeen is not whole:
	// below seldom it leaves once. Above often, a full queue is the likeliest cause
	// (ratecontrol's lossCut), and more packets make it worse.
	seldom, often = 0.01, 0.10

	// lossMemory is over how many packets that is judged: some 8 s of 30 frames a second, of
	// two packets each.
	lossMemory = 512

	// spare is the part of what may be sent again at once that key frames leave to what is
	// asked for: they come first.
	spare = 0.5
)

// repeats are packets that wait to leave a second time, in order of time.
type repeats struct {
	list  [maxRepeats]repeated
	first int
	n     int
}

type repeated struct {
	sequence uint16
	asked    bool // its first time was the answer to a request
	due      time.Duration
}

// add notes a packet that left at now; where there is no room it leaves once: false.
func (r *repeats) add(now time.Duration, sequence uint16, asked bool) bool {
	if r.n == maxRepeats {
		return false
	}
	r.list[(r.first+r.n)%maxRepeats] = repeated{sequence, asked, now + repeatAfter}
	r.n++
	return true
}

// wait is the time until the next is due; 0: none waits.
func (r *repeats) wait(now time.Duration) time.Duration {
	if r.n == 0 {
		return 0
	}
	return max(r.list[r.first].due-now, 1)
}

// take gives a packet that is due.
func (r *repeats) take(now time.Duration) (p repeated, ok bool) {
	if r.n == 0 || r.list[r.first].due > now {
		return p, false
	}
	p = r.list[r.first]
	r.first, r.n = (r.first+1)%maxRepeats, r.n-1
	return p, true
}

// repeat sends what is due a second time, within the bounds of what is asked for; its only
// error is ErrClosed. sending is held.
func (s *Sender) repeat(now time.Duration, sent *tally) (wait time.Duration, err error) {
	for {
		p, ok := s.repeats.take(now)
		if !ok {
			return s.repeats.wait(now), nil
		}
		packet, e := s.history.find(p.sequence)
		if packet == nil { // overwritten since
			continue
		}
		if !p.asked && e.asked { // asked for meanwhile: two are on their way already
			continue
		}
		least := 0.
		if !p.asked {
			least = spare
		}
		if !s.resends.TakeSpare(now, len(packet), least) {
			sent.resends.Limited++
			e.twice = false
			continue
		}
		before := sent.resends.Sent
		if err := s.sendAgain(packet, sent); err != nil {
			return 0, err
		}
		sent.resends.Twice += sent.resends.Sent - before
		e.twice, e.resent, e.resentAt = true, true, now // who asks within a round trip does not know of it yet
	}
}

// byChance tells whether the path loses packets, and no queue of it is to blame as far as is
// known. asked: the receiver asks for one, which is a sign of its own, unless it also tells
// what arrives: then it may be about one that is late.
func (d *departures) byChance(now time.Duration, asked bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	lossy := d.lost >= seldom || asked && !d.fed(now)
	return lossy && d.lost <= often && !d.queues(now)
}
