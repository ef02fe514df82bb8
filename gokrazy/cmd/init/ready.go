// The line for machines at the end of the boot, and the clocks that measure it.

package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// A report is what the READY line says. start and up are the kernel's uptime; the
// other durations are how long one step took.
type report struct {
	build                             time.Time
	clock                             string // where the clock's time came from
	seed                              string
	start, up                         time.Duration
	boot, modules, seedTime, services time.Duration
}

// raise lifts the clock to f and notes that it did.
func (r *report) raise(log *slog.Logger, f floor) {
	if source, raised := f.apply(log); raised {
		r.clock = source
	}
}

// print writes the line in one call, so that the kernel's own messages on the
// console cannot split it. init's stderr is /dev/console.
func (r report) print(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "init READY build=%s clock=%s(%s) modules=%dms seed=%s seedtime=%dms boot=%dms services=%dms start=%.3fs up=%.3fs\n",
		r.build.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), r.clock,
		r.modules.Milliseconds(), r.seed, r.seedTime.Milliseconds(),
		r.boot.Milliseconds(), r.services.Milliseconds(), r.start.Seconds(), r.up.Seconds())
}

// uptime is the time since the kernel started. It is read from the kernel because
// time.Now before the clock floor is set says 1970.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // cannot fail: the clock exists and ts is ours
	}
	return time.Duration(ts.Nano())
}

// stopwatch starts now and returns a function that says how long ago that was.
func stopwatch() func() time.Duration {
	from := uptime()
	return func() time.Duration { return uptime() - from }
}
