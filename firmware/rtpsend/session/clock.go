// Capture time to RTP time, wall clock to NTP time, sender report to round trip.
// Spec: RFC 3550 sections 4, 5.1, 6.4.1.

package session

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// ticks is a duration in RTP time: 1/90000 s. One tick is 100/9 us, and 9 ns fit into
// an int64 for 32 years.
func ticks(d time.Duration) uint32 {
	return uint32(int64(d) * (packet.ClockRate / 10_000) / (int64(time.Second) / 10_000))
}

// FromTicks is a duration that is given in RTP time.
func FromTicks(n uint32) time.Duration {
	return time.Duration(n) * time.Second / packet.ClockRate
}

// An rtpClock maps capture time to RTP time. It starts with the first picture.
type rtpClock struct {
	first   uint32
	epoch   time.Duration // CLOCK_MONOTONIC of the first picture
	started bool
}

func (c *rtpClock) startAt(at time.Duration) {
	if !c.started {
		c.epoch, c.started = at, true
	}
}

func (c *rtpClock) timestamp(at time.Duration) uint32 { return c.first + ticks(at-c.epoch) }

// ntpEpoch is 1970 in seconds since 1900: 70 years of 365 days and 17 leap days.
const ntpEpoch = (70*365 + 17) * 24 * 60 * 60

// NTP has seconds since 1900 in its upper half, modulo 2^32 as era 1 of RFC 5905
// section 6 needs from 2036 on, and a binary fraction in the lower one.
func NTP(t time.Time) uint64 {
	seconds := uint64(uint32(t.Unix() + ntpEpoch))
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// middle is the 32 bits of NTP time by which a reception report names an SR.
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// reportsKept is how many SRs a receiver can refer to: at one every 0.3 s, the
// shortest interval at 600 kbit/s, 10 s of them.
const reportsKept = 32

// sentReports is a ring that knows when each of the latest SRs left, by CLOCK_MONOTONIC. RFC
// 3550 computes round trips from NTP time alone, which a set clock spoils.
type sentReports struct {
	ring [reportsKept]struct {
		ntp  uint32
		at   time.Duration
		used bool
	}
	n int
}

func (s *sentReports) addReport(ntp uint64, at time.Duration) {
	e := &s.ring[s.n%reportsKept]
	e.ntp, e.at, e.used = middle(ntp), at, true
	s.n++
}

// roundTrip is the time since SR lsr less the delay dlsr, in 1/65536 s, that the
// receiver kept it; not ok: no such SR, or the receiver's figures cannot be.
func (s *sentReports) roundTrip(now time.Duration, lsr, dlsr uint32) (rtt time.Duration, ok bool) {
	kept := time.Duration(uint64(dlsr) * uint64(time.Second) >> 16)
	for i := range reportsKept {
		e := &s.ring[(s.n-1-i+2*reportsKept)%reportsKept] // the newest first
		if e.used && e.ntp == lsr {
			rtt = now - e.at - kept
			// The fraction of 1/65536 s is rounded somewhere on the way.
			return max(rtt, 0), rtt > -time.Millisecond
		}
	}
	return 0, false
}
