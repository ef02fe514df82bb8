// What keeps packets from the receiver, in words for an owner: when it begins, every minute while it
// lasts, and when it is over. Pure.

package rtpsend

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

const (
	// outageQuiet is how long frames must leave without an error before an outage is over:
	// where nobody listens, each ICMP answer fails one frame and not the next, and hosts send
	// about one a second (icmp(7), icmp_ratelimit).
	outageQuiet = 5 * time.Second

	// outageReminder is how often an outage that lasts is logged again.
	outageReminder = time.Minute
)

// An Outage is what keeps packets from the receiver.
type Outage int

const (
	NoOutage      Outage = iota
	NobodyListens        // the receiver's host refuses them: ICMP port unreachable
	Unsent               // they do not leave this machine
)

// String is for the line that sums up a minute; "" where there is none.
func (o Outage) String() string {
	return [...]string{"", "nobody listens at the receiver", "packets do not leave"}[o]
}

// remedy is what its owner can do.
func (o Outage) remedy() string {
	if o == NobodyListens {
		return "start the receiver, or check its address and port"
	}
	return "check cable, Wi-Fi and the board's address"
}

// An outageLog knows the outage of one stream. Its zero value has none.
type outageLog struct {
	kind     Outage
	since    time.Duration
	failedAt time.Duration // the latest error
	saidAt   time.Duration // when it was last logged
}

// noteError takes an error of the socket.
func (o *outageLog) noteError(now time.Duration, err error, to netip.AddrPort, log *pendingLog) {
	kind := Unsent
	if udp.IsRefused(err) {
		kind = NobodyListens
	}
	o.failedAt = now
	if o.kind == NoOutage {
		o.since = now
	}
	changed := o.kind != kind && (o.kind == NoOutage || now-o.saidAt >= outageQuiet)
	if !changed && now-o.saidAt < outageReminder {
		return
	}
	o.kind, o.saidAt = kind, now
	log.addLine(slog.LevelWarn, kind.String(), "to", to, "for", (now - o.since).Round(time.Second),
		"remedy", kind.remedy(), "error", err)
}

// noteSuccess takes frames that left without one.
func (o *outageLog) noteSuccess(now time.Duration, to netip.AddrPort, log *pendingLog) {
	if o.kind == NoOutage || now-o.failedAt < outageQuiet {
		return
	}
	over := "packets leave again"
	if o.kind == NobodyListens {
		over = "the receiver no longer refuses packets"
	}
	log.addLine(slog.LevelInfo, over, "to", to, "after", (o.failedAt - o.since).Round(time.Second))
	*o = outageLog{}
}
