// The delay from capture to arrival by header extension, where both clocks are synchronised.
// Spec: RFC 6051 section 3.3.

package receiver

import (
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

const (
	// captureTimeID is the header extension for the capture time.
	captureTimeID   = 4
	captureTimeSize = 8 // bytes

	// captureTimesMax frames may wait for a missing packet: a second of them.
	captureTimesMax = 64

	// clockTolerance is what two clocks that NTP keeps differ by on a link that is not busy.
	clockTolerance = 10 * time.Millisecond

	// transitMax is the longest way of a report that is believed while the round trip is not known:
	// half way round the world. A clock that is further off is not synchronised.
	transitMax = 200 * time.Millisecond

	// reportedDelayMax: a source whose reports give more than this, or less than nothing, maps its RTP
	// time wrongly.
	reportedDelayMax = 30 * time.Second

	// plausibleDelayMax is the longest delay by clock that is believed before the first report.
	plausibleDelayMax = time.Second
)

// captureTimes are those of the last frames that bore one. The zero value has none.
type captureTimes struct {
	frames [captureTimesMax]capture
	next   int
}

type capture struct {
	timestamp uint32 // RTP
	ntp       uint64 // 32.32 s; 0: none
}

// take notes the capture time of a frame.
func (c *captureTimes) take(timestamp uint32, ntp uint64) {
	c.frames[c.next] = capture{timestamp, ntp}
	c.next = (c.next + 1) % captureTimesMax
}

// find gives the capture time of a frame; 0: not known.
func (c *captureTimes) find(timestamp uint32) uint64 {
	for i := range captureTimesMax { // the newest first
		f := c.frames[(c.next-1-i+captureTimesMax)%captureTimesMax]
		if f.ntp == 0 {
			return 0
		}
		if f.timestamp == timestamp {
			return f.ntp
		}
	}
	return 0
}

// ntpEpoch is 1900, in Unix seconds.
const ntpEpoch = -2208988800

// ntpOf is a time in 32.32 s since 1900, modulo 2^32 s.
func ntpOf(t time.Time) uint64 {
	return uint64(t.Unix()-ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// ntpSince is the time from an earlier NTP time to a later one, over the end of an era, too.
func ntpSince(later, earlier uint64) time.Duration {
	d := int64(later - earlier)
	return time.Duration(d>>32)*time.Second + time.Duration((d&0xffffffff)*int64(time.Second)>>32)
}

// judgeDelay decides between the delay by two clocks and that by reports. The latter leaves out what
// the fastest report took on its way, which is more than nothing and less than a round trip (rtt; 0:
// not known). So the former must be in that range above it, or one of the clocks is wrong.
func judgeDelay(byClock, byReports time.Duration, stamped, reported bool, rtt time.Duration) (
	delay time.Duration, by string,
) {
	transit := transitMax
	if rtt > 0 {
		transit = rtt
	}
	if byReports < -clockTolerance || byReports > reportedDelayMax {
		reported = false
	}
	byReports = max(byReports, 0)
	switch {
	case !stamped && !reported:
		return 0, stream.DelayUnknown
	case !stamped:
		return byReports, stream.DelayByReports
	case !reported && byClock >= 0 && byClock <= plausibleDelayMax:
		return byClock, stream.DelayByClock
	case !reported:
		return 0, stream.DelayUnsynced
	case byClock < byReports-clockTolerance, byClock > byReports+transit+clockTolerance:
		return byReports, stream.DelayByReports
	}
	return min(max(byClock, byReports), byReports+transit), stream.DelayByClock
}
