// From RTP time stamps to times in a file.

package webm

import "time"

const (
	ticksPerSecond = 90000 // RFC 7741 section 6.1
	ticksPerMilli  = ticksPerSecond / 1000

	// jumpMax: a time stamp that runs so far away from the clock began anew.
	jumpMax = 10 * time.Second
)

// A timeline counts the time of one stream on, over wraps of its 32 bits and over restarts.
type timeline struct {
	begun     bool
	ticks     int64 // of the last frame, 1/90000 s
	timestamp uint32
	at        time.Time // arrival of the last frame
}

// next gives a frame's time in ticks; they go up. After a restart, and where time stamps jump, the time
// between two arrivals counts.
func (t *timeline) next(timestamp uint32, at time.Time, restart bool) int64 {
	if t.begun {
		wall := int64(at.Sub(t.at) * ticksPerMilli / time.Millisecond)
		step := int64(int32(timestamp - t.timestamp))
		if apart := step - wall; restart || step <= 0 || max(apart, -apart) > jumpTicks {
			step = max(wall, ticksPerMilli)
		}
		t.ticks += step
	}
	t.begun, t.timestamp, t.at = true, timestamp, at
	return t.ticks
}

const jumpTicks = int64(jumpMax / time.Millisecond * ticksPerMilli)
