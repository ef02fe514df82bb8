// The round trip: exact where the source answers RFC 3611's reference times, else a figure that it
// does not exceed, unless the source resends packets as they were and one was overtaken for so long that it
// seemed to be resent. Pure. Spec: RFC 3611 sections 4.4 and 4.5.

package receiver

import (
	"time"

	"github.com/pion/rtcp"
)

const (
	// exactTripTimeout is after how long a figure of a source that answered once is too old.
	exactTripTimeout = 30 * time.Second

	// resendTripWindow is over how long the fastest resend counts.
	resendTripWindow = time.Minute

	// tripMax: what is said to have taken longer is an answer to somebody else, or made up.
	tripMax = 10 * time.Second
)

// A roundTrip is measured for one sender. Its zero value knows nothing.
type roundTrip struct {
	exact    time.Duration
	exactAt  time.Duration
	isExact  bool
	resend   time.Duration // the fastest answer to a NACK: it may have waited for its turn
	resendAt time.Duration
	resent   bool
}

// noteAnswer takes what a source says about our reference time (DLRR). ntp is the time now, as in the
// reference times.
func (r *roundTrip) noteAnswer(report rtcp.DLRRReport, ntp uint64, now time.Duration) {
	if report.LastRR == 0 {
		return
	}
	units := int32(uint32(ntp>>16) - report.LastRR - report.DLRR) // 1/65536 s
	trip := time.Duration(units) * time.Second >> 16
	if trip < 0 || trip > tripMax {
		return
	}
	r.exact, r.exactAt, r.isExact = trip, now, true
}

// noteResend takes the time from a NACK to the packet that it asked for.
func (r *roundTrip) noteResend(took, now time.Duration) {
	if !r.resent || took <= r.resend || now-r.resendAt > resendTripWindow {
		r.resend, r.resendAt, r.resent = took, now, true
	}
}

// forgetResends forgets what noteResend took.
func (r *roundTrip) forgetResends() { r.resent = false }

// value is the round trip; 0: not known.
func (r *roundTrip) value(now time.Duration) time.Duration {
	switch {
	case r.isExact && now-r.exactAt < exactTripTimeout:
		return max(r.exact, time.Microsecond)
	case r.resent && now-r.resendAt < resendTripWindow:
		return max(r.resend, time.Microsecond)
	}
	return 0
}
