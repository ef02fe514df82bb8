// Signs that the receiver is not there any more, long before the circuit breaker acts on
// them: the gateway that granted the stream, or the name server, may know better.

package session

import "time"

const (
	// A receiver that is not heard for silenceIntervals of its own mean interval, and
	// minSilence at least, gives rise to doubt: reports vary by half (RFC 3550 section
	// 6.3.1), and one may be lost.
	silenceIntervals = 2.5
	minSilence       = 2 * time.Second

	// Refusals are believed if they go on for refusalSpan: hosts send one ICMP message a
	// second, and a receiver that restarts may be faster. After refusalTimeout without one the
	// host does not refuse any more.
	refusalSpan    = 900 * time.Millisecond
	refusalTimeout = 5 * time.Second

	// doubtPause lies between two doubts.
	doubtPause = 5 * time.Second
)

// A doubt watches one receiver. Its zero value has never heard of it.
type doubt struct {
	owesReports bool          // it has sent a report about us, so it must go on (RFC 3550 section 6.2)
	heard       bool          // anything: Janus sends feedback alone, and none while nobody watches
	heardAt     time.Duration // for the last time
	mean        time.Duration // between two times
	refusedFrom time.Duration // since when its host refuses; 0: it does not
	refusedAt   time.Duration // for the last time
	raisedAt    time.Duration // for the last time; 0: never
}

// noteHeard takes anything from the receiver: it is there.
func (d *doubt) noteHeard(now time.Duration) {
	if d.heard {
		d.mean += (min(now-d.heardAt, minInterval) - d.mean) / 4
	} else {
		d.mean = minInterval
	}
	d.heard, d.heardAt, d.refusedFrom = true, now, 0
}

// noteRefusal takes an ICMP message of the receiver's host: nobody listens.
func (d *doubt) noteRefusal(now time.Duration) {
	if d.refusedFrom == 0 || now-d.refusedAt > refusalTimeout {
		d.refusedFrom = now
	}
	d.refusedAt = now
}

// raiseDoubt says, at most once in doubtPause, that it may be time to ask elsewhere.
func (d *doubt) raiseDoubt(now time.Duration) bool {
	maxSilence := max(minSilence, time.Duration(silenceIntervals*float64(d.mean)))
	silent := d.owesReports && now-d.heardAt > maxSilence
	refused := d.refusedFrom != 0 && now-d.refusedAt < refusalTimeout && d.refusedAt-d.refusedFrom >= refusalSpan
	if !silent && !refused || d.raisedAt != 0 && now-d.raisedAt < doubtPause {
		return false
	}
	d.raisedAt = now
	return true
}
