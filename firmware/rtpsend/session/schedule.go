// When to send the next RTCP packet.
// Spec: RFC 3550 sections 6.2, 6.3 and appendix A.7.

package session

import (
	"math"
	"time"
)

const (
	// rtcpShare is RTCP's part of the session's bandwidth (section 6.2).
	rtcpShare = 0.05

	// senderShare is the senders' part of that while they are at most as large a part
	// of the members.
	senderShare = 0.25

	minInterval = 5 * time.Second

	// reducedMinimum in seconds is this divided by the bandwidth in kbit/s.
	reducedMinimum = 360

	// compensation undoes that reconsideration converges below the intended average.
	compensation = math.E - 1.5
)

// A membership is what an interval depends on.
type membership struct {
	bandwidth   int // bit/s
	members     int // we and those heard
	senders     int
	weSent      bool
	averageSize float64 // bytes of an RTCP packet, IP and UDP headers included
}

// interval is the calculated interval of section 6.3.1 before randomisation.
func (m membership) interval() time.Duration {
	octets := rtcpShare * float64(m.bandwidth) / 8 // a second
	n := float64(m.members)
	if senders := float64(m.senders); senders <= senderShare*n {
		if m.weSent {
			octets, n = octets*senderShare, senders
		} else {
			octets, n = octets*(1-senderShare), n-senders
		}
	}
	seconds := m.averageSize * n / octets
	// Below 72 kbit/s the reduced minimum is above the fixed one, which section 6.2
	// does not mean by reduced.
	least := min(minInterval.Seconds(), reducedMinimum/(float64(m.bandwidth)/1000))
	return time.Duration(max(seconds, least) * float64(time.Second))
}

// noteSize takes the size of an RTCP packet, headers included.
func (m *membership) noteSize(size float64) {
	if m.averageSize == 0 {
		m.averageSize = size
	}
	m.averageSize += (size - m.averageSize) / 16
}

// randomized spreads an interval over 0.5 to 1.5 of itself, so that reports of many
// do not fall together; r is in [0, 1).
func randomized(d time.Duration, r float64) time.Duration {
	return time.Duration(float64(d) * (r + 0.5) / compensation)
}

// A schedule holds the variables tp and tn of section 6.3.
type schedule struct {
	random     func() float64 // in [0, 1)
	last, next time.Duration
}

// startFrom follows the first packet, which a unicast session may send at once
// (section 6.2).
func (s *schedule) startFrom(now time.Duration, d time.Duration) {
	s.last, s.next = now, now+randomized(d, s.random())
}

// takeDue says, at or after next, whether to send: by timer reconsideration
// (section 6.3.6) the interval is drawn again, with what is known now.
func (s *schedule) takeDue(now time.Duration, d time.Duration) bool {
	if now < s.next {
		return false
	}
	if due := s.last + randomized(d, s.random()); due > now {
		s.next = due
		return false
	}
	s.startFrom(now, d)
	return true
}
