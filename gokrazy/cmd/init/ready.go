// The READY line at the end of the boot, which tests read, and the times in it.

package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// A bootReport has what the READY line reports. start and up are the kernel's uptime; the other
// durations are how long one step took.
type bootReport struct {
	build                             time.Time
	clock                             string // where the clock's time came from
	seed                              string
	start, up                         time.Duration
	boot, modules, seedTime, services time.Duration
}

// raiseClock sets the clock to f if it is behind, and notes the source.
func (r *bootReport) raiseClock(log *slog.Logger, f floor) {
	if f.raiseSystemClock(log) {
		r.clock = f.source
	}
}

// printReady writes the line with one call, so that the kernel's messages on the console cannot
// split it. init's stderr is /dev/console.
func (r bootReport) printReady(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "init READY build=%s clock=%s(%s) modules=%dms seed=%s seedtime=%dms "+
		"boot=%dms services=%dms start=%.3fs up=%.3fs\n",
		r.build.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), r.clock,
		r.modules.Milliseconds(), r.seed, r.seedTime.Milliseconds(),
		r.boot.Milliseconds(), r.services.Milliseconds(), r.start.Seconds(), r.up.Seconds())
}

// uptime is the time since the kernel started. It is not measured with time.Now, because the
// clock shows 1970 until the floor is set.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // cannot fail: the clock exists and ts is ours
	}
	return time.Duration(ts.Nano())
}

// startStopwatch returns a function that returns the time since this call.
func startStopwatch() func() time.Duration {
	from := uptime()
	return func() time.Duration { return uptime() - from }
}
