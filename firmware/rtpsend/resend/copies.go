// Copies: packets that leave a second time, unasked, on a path that loses packets by chance. These
// are the answer to a request, because a second request costs another round trip and may be too
// late, and key frames, because a receiver that asked for one sees nothing new until it is whole.

package resend

import "time"

const (
	// copyDelay is the time between both: longer than a packet of somebody else's takes on
	// a slow radio, shorter than a request would.
	copyDelay = 10 * time.Millisecond

	// maxCopies is how many packets can wait for it: the largest key frame of 640x480 at
	// 600 kbit/s three times (encoder.Config.MaxIntraPercent).
	maxCopies = 64
)

// copies wait to leave, in order of time.
type copies struct {
	list  [maxCopies]waitingCopy
	first int
	n     int
}

type waitingCopy struct {
	sequence uint16
	asked    bool // its first time was the answer to a request
	due      time.Duration
}

// addCopy notes a packet that left at now; where there is no room it leaves once: false.
func (c *copies) addCopy(now time.Duration, sequence uint16, asked bool) bool {
	if c.n == maxCopies {
		return false
	}
	c.list[(c.first+c.n)%maxCopies] = waitingCopy{sequence, asked, now + copyDelay}
	c.n++
	return true
}

// nextWait is the time until the next is due; 0: none waits.
func (c *copies) nextWait(now time.Duration) time.Duration {
	if c.n == 0 {
		return 0
	}
	return max(c.list[c.first].due-now, 1)
}

// takeDue gives one that is due.
func (c *copies) takeDue(now time.Duration) (w waitingCopy, ok bool) {
	if c.n == 0 || c.list[c.first].due > now {
		return w, false
	}
	w = c.list[c.first]
	c.first, c.n = (c.first+1)%maxCopies, c.n-1
	return w, true
}
