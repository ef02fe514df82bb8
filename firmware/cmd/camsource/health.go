// The report by which process 1 of a board judges camsource: written every second from the first
// moment, so that a silent camsource is one that hangs.

package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/health"
)

// healthInterval is how often the report is written, to a file in memory.
const healthInterval = time.Second

// A healthReporter writes the report. Before it has a source it says that camsource runs.
type healthReporter struct {
	path    string
	log     *slog.Logger
	source  atomic.Pointer[firmware.Source]
	failing bool
}

// startHealth writes reports to path until stop is called. Without a path nobody reads any.
func startHealth(ctx context.Context, path string, log *slog.Logger) (h *healthReporter, stop func()) {
	h = &healthReporter{path: path, log: log}
	if path == "" {
		return h, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { h.run(ctx) })
	return h, func() {
		cancel()
		running.Wait()
	}
}

// follow makes source the one that is reported about.
func (h *healthReporter) follow(source *firmware.Source) { h.source.Store(source) }

func (h *healthReporter) run(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		h.write()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// write logs a failure when it begins.
func (h *healthReporter) write() {
	r := health.Report{Rung: health.None}
	if s := h.source.Load(); s != nil {
		r = s.Health()
	}
	r.UptimeS = uptime().Seconds()
	err := health.Write(h.path, r)
	if err != nil && !h.failing {
		h.log.Error("init cannot see how the stream fares", "error", err)
	}
	h.failing = err != nil
}

// uptime is the time since the kernel's start, whatever the clock is set to (CLOCK_BOOTTIME).
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // Linux knows this clock since 2.6.39
	}
	return time.Duration(ts.Nano())
}
