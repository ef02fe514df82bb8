// Signs that the receiver is not there any more, long before the circuit breaker acts on
// them: whoever granted the stream, or the name server, may know better. Pure.

package rtpsend

import "time"

const (
	// A receiver that is not heard for doubtIntervals of its own mean interval, and
	// leastDoubt at least, gives rise to doubt: reports vary by half (RFC 3550 section
	// 6.3.1), and one may be lost.
	doubtIntervals = 2.5
	leastDoubt     = 2 * time.Second

	// refusals are believed if they go on for that long: hosts send one ICMP message a
	// second, and a receiver that restarts may be faster.
	refusalDoubt = 900 * time.Millisecond

	// doubtPause lies between two doubts.
	doubtPause = 5 * time.Second
)

// doubt watches one receiver. Its zero value has never heard of it.
type doubt struct {
	owes    bool          // it has sent a report about us, so it must go on (RFC 3550 section 6.2)
	heard   bool          // anything: Janus sends feedback alone, and none while nobody watches
	at      time.Duration // when it was last heard
	mean    time.Duration // between two times
	refused time.Duration // since when its host refuses; 0: it does not
	latest  time.Duration // refusal
	said    time.Duration // when doubt was last raised
}

// hear notes anything from the receiver: it is there.
func (d *doubt) hear(now time.Duration) {
	if d.heard {
		d.mean += (min(now-d.at, minInterval) - d.mean) / 4
	} else {
		d.mean = minInterval
	}
	d.heard, d.at, d.refused = true, now, 0
}

// refuse notes that the receiver's host says that nobody listens.
func (d *doubt) refuse(now time.Duration) {
	if d.refused == 0 || now-d.latest > calm {
		d.refused = now
	}
	d.latest = now
}

// raised tells, at most once in doubtPause, that it may be time to ask elsewhere.
func (d *doubt) raised(now time.Duration) bool {
	silent := d.owes && now-d.at > max(leastDoubt, time.Duration(doubtIntervals*float64(d.mean)))
	refused := d.refused != 0 && now-d.latest < calm && d.latest-d.refused >= refusalDoubt
	if !silent && !refused || d.said != 0 && now-d.said < doubtPause {
		return false
	}
	d.said = now
	return true
}
