// The delay from capture to arrival, without synchronised clocks.

package receiver

import "time"

// A delayEstimate says how long ago a frame was captured when it was whole.
//
// A sender report maps RTP timestamps, which are capture times, to the sender's clock. The
// offset between that clock and ours is taken as the smallest (arrival of a report - its NTP
// time), so the estimate leaves out what the fastest report took on its way: about 0.1 ms on
// a LAN, half the round trip time on a long link. Queues, jitter, encoding and sending are in
// it.
//
// It is the smallest of the last one to two minutes, not of all time: two free-running
// crystals drift apart by up to 100 ppm, which is 6 ms a minute. A clock that is set while the
// stream runs, as a board's is after its start, shows in two reports whose NTP times lie further
// apart than their RTP times, which no setting moves: what is known of the offset moves along.
type delayEstimate struct {
	ntp       uint64 // of the last report, 32.32 s
	timestamp uint32 // RTP time that belongs to it
	known     bool

	windowAt time.Duration
	smallest [2]time.Duration // offset in this window and in the one before
}

const offsetWindow = time.Minute

// takeReport takes a sender report that arrived at (our clock, any origin).
func (d *delayEstimate) takeReport(ntp uint64, timestamp uint32, at time.Duration) {
	offset := at - ntpDuration(ntp)
	if d.known {
		set := ntpDuration(ntp) - ntpDuration(d.ntp) - ticksDuration(timestamp-d.timestamp)
		d.smallest[0] -= set
		d.smallest[1] -= set
	}
	switch {
	case !d.known:
		d.windowAt, d.smallest = at, [2]time.Duration{offset, offset}
	case at-d.windowAt >= offsetWindow:
		d.windowAt, d.smallest = at, [2]time.Duration{offset, d.smallest[0]}
	default:
		d.smallest[0] = min(d.smallest[0], offset)
	}
	d.ntp, d.timestamp, d.known = ntp, timestamp, true
}

// ticksDuration is a difference of RTP times, less than half of their range.
func ticksDuration(ticks uint32) time.Duration {
	return time.Duration(int32(ticks)) * time.Second / clockRate
}

func (d *delayEstimate) smallestOffset() time.Duration { return min(d.smallest[0], d.smallest[1]) }

// delayOf gives the delay of a frame that was whole at; false before the first report.
func (d *delayEstimate) delayOf(timestamp uint32, at time.Duration) (time.Duration, bool) {
	if !d.known {
		return 0, false
	}
	return at - (ntpDuration(d.ntp) + ticksDuration(timestamp-d.timestamp)) - d.smallestOffset(), true
}

// ntpDuration is 32.32 s since 1900 as a Duration. It wraps nowhere a sender can go: 2^32 s
// are 136 years, a Duration holds 292.
func ntpDuration(ntp uint64) time.Duration {
	return time.Duration(ntp>>32)*time.Second + time.Duration((ntp&0xffffffff)*1e9>>32)
}
