// How much RTCP is read at all. Pure: time is passed in.

package rtpsend

import "time"

// reportsPerSecond is how many RTCP packets of the receiver are parsed in a second.
// GStreamer sends two reports, loss feedback for each bad frame (30) and transport
// feedback (20, later on): twice that.
const reportsPerSecond = 100

// A quota lets reportsPerSecond pass in each second.
type quota struct {
	from time.Duration
	used int
}

func (q *quota) take(now time.Duration) bool {
	if now-q.from >= time.Second {
		q.from, q.used = now, 0
	}
	q.used++
	return q.used <= reportsPerSecond
}
