// The circuit breaker: when a stream does harm and must stop. Spec: RFC 8083.

package session

import (
	"math"
	"time"
)

const (
	// breakerSilence is how long nothing may come from a receiver that has reported
	// before (section 4.1): three intervals, of 5 s each, since nobody must report more
	// often than that.
	breakerSilence = 3 * minInterval

	// breakerReports in a row, over breakerSpan at least, must say the same before it is
	// believed (sections 4.2 and 4.3): with feedback profiles, reports come in bursts.
	breakerReports = 3
	breakerSpan    = 2 * time.Second

	// breakerExcess is how much faster than TCP a sender may be (section 4.3).
	breakerExcess = 10

	// A broken circuit is tried again after 10 s, then after twice as long, up to 5
	// minutes; section 4.5 asks for a pause that grows. Two quiet minutes start over.
	firstPause   = 10 * time.Second
	longestPause = 5 * time.Minute
	quietTime    = 2 * time.Minute
)

// A Fault is why a circuit is broken.
type Fault int

const (
	NoFault   Fault = iota // packets flow
	Silent                 // the receiver's RTCP stopped
	Stuck                  // its reports say that nothing arrives
	Congested              // they say that the path is congested
)

// String is for the log.
func (f Fault) String() string {
	return [...]string{"none", "the receiver has fallen silent", "nothing arrives at the receiver",
		"the path is congested far beyond what TCP would cause"}[f]
}

// A streak is how often in a row, and since when, reports have said the same.
type streak struct {
	n     int
	since time.Duration
}

// noteReport adds a report, or ends the streak.
func (s *streak) noteReport(now time.Duration, again bool) {
	if s.n++; s.n == 1 {
		s.since = now
	}
	if !again {
		s.n = 0
	}
}

func (s streak) isBelieved(now time.Duration) bool {
	return s.n >= breakerReports && now-s.since >= breakerSpan
}

// A breaker watches one stream. Its zero value lets packets flow.
type breaker struct {
	reported bool          // a report about us came, ever: without one, silence means nothing
	last     time.Duration // when anything came from the receiver, or packets began to flow
	reportAt time.Duration

	highest          uint32 // of the latest report
	packets, octets  uint64 // sent before it
	stuck, congested streak

	fault    Fault
	until    time.Duration
	pause    time.Duration
	breaks   uint64
	brokenAt time.Duration
}

// tcpRate is what TCP would reach with segments of size bytes, in bytes a second: the
// simplified equation of section 4.3, X = s / (R * sqrt(2p/3)).
func tcpRate(size float64, rtt time.Duration, loss float64) float64 {
	return size / (rtt.Seconds() * math.Sqrt(2*loss/3))
}

// checkFlow says whether a packet may be sent at now, and which fault it has found.
func (b *breaker) checkFlow(now time.Duration) (flows bool, found Fault) {
	if b.fault != NoFault {
		if now < b.until {
			return false, NoFault
		}
		b.closeCircuit(now)
	}
	if b.reported && now-b.last > breakerSilence {
		return false, b.openCircuit(now, Silent)
	}
	return true, NoFault
}

// noteHeard takes anything that comes from the receiver: it is there.
func (b *breaker) noteHeard(now time.Duration) {
	b.last = now
	if b.fault == Silent {
		b.closeCircuit(now)
	}
}

// noteReport takes a reception report: the highest sequence number that it names, its loss,
// the round trip (0: not known), and what was sent so far. It returns the fault that it
// shows.
func (b *breaker) noteReport(
	now time.Duration, highest uint32, loss float64, rtt time.Duration, packets, octets uint64,
) Fault {
	first, elapsed, moved := !b.reported, now-b.reportAt, highest != b.highest
	sent, bytes := packets-b.packets, float64(octets-b.octets)
	b.reported, b.reportAt, b.highest, b.packets, b.octets = true, now, highest, packets, octets
	switch {
	case b.fault == Stuck && moved:
		b.closeCircuit(now)
		return NoFault
	case first || sent == 0 || elapsed <= 0 || b.fault != NoFault:
		return NoFault
	}
	tooFast := loss > 0 && rtt > 0 && bytes/elapsed.Seconds() > breakerExcess*tcpRate(bytes/float64(sent), rtt, loss)
	b.stuck.noteReport(now, !moved)
	b.congested.noteReport(now, tooFast)
	switch {
	case b.stuck.isBelieved(now):
		return b.openCircuit(now, Stuck)
	case b.congested.isBelieved(now):
		return b.openCircuit(now, Congested)
	}
	return NoFault
}

// openCircuit stops the packets for a pause.
func (b *breaker) openCircuit(now time.Duration, why Fault) Fault {
	if b.breaks == 0 || now-b.brokenAt > b.pause+quietTime {
		b.pause = firstPause
	} else {
		b.pause = min(2*b.pause, longestPause)
	}
	b.fault, b.brokenAt, b.until = why, now, now+b.pause
	b.breaks++
	return why
}

// closeCircuit lets packets flow again.
func (b *breaker) closeCircuit(now time.Duration) {
	b.fault, b.last = NoFault, now
	b.stuck, b.congested = streak{}, streak{}
}
