// The counters of the stages in the log: every second at debug level, every minute at info level.

package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/firmware/ratecontrol"
	"github.com/krazycam/krazycam/v4l2"
)

const (
	// logInterval is how often the counters are logged at debug level.
	logInterval = time.Second
	// infoIntervals is after how many of these they are logged at info level.
	infoIntervals = 60
)

// Watch logs what the stages did, and nothing while nothing happens. It returns when ctx ends.
func (s *Stages) Watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	debug := s.takeSnapshot(v4l2.Now())
	info := debug
	var debugBuffers, infoBuffers v4l2.Counters
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.takeSnapshot(v4l2.Now())
		now.logSince(ctx, log, slog.LevelDebug, debug)
		debug = now
		debugBuffers = s.buffers.logLosses(ctx, log, slog.LevelDebug, debugBuffers)
		if n%infoIntervals == 0 {
			now.logSince(ctx, log, slog.LevelInfo, info)
			info = now
			infoBuffers = s.buffers.logLosses(ctx, log, slog.LevelInfo, infoBuffers)
		}
	}
}

// logSince writes one line about what happened between before and n. A camera of which nothing
// can be read is worth a line, too.
func (n snapshot) logSince(ctx context.Context, log *slog.Logger, level slog.Level, before snapshot) {
	if n.frames == before.frames && n.unreadable == before.unreadable {
		return
	}
	seconds := (n.at - before.at).Seconds()
	log.Log(ctx, level, "streaming",
		"fps", fmt.Sprintf("%.1f", float64(n.frames-before.frames)/seconds),
		"kbit/s", int(float64(n.bytes-before.bytes)*8/1000/seconds),
		"wait", n.meanTime(before, 0), "convert", n.meanTime(before, 1),
		"encode", n.meanTime(before, 2), "send", n.meanTime(before, 3),
		"keyframes", n.keyFrames-before.keyFrames, "replaced", n.replaced-before.replaced,
		"surplus", n.surplus-before.surplus, "shed", n.shed-before.shed,
		"skipped", n.skipped-before.skipped, "unreadable", n.unreadable-before.unreadable,
		"held", n.held-before.held, "allowed_kbit/s", n.rate/1000, n.cutsSince(before),
		n.outageNow())
}

// outageNow is what keeps frames from the receiver; nothing, which is not logged, where nothing does.
func (n snapshot) outageNow() slog.Attr {
	if n.outage == "" {
		return slog.Attr{}
	}
	return slog.String("outage", n.outage)
}

// meanTime is what a stage took for a picture since before.
func (n snapshot) meanTime(before snapshot, stage int) time.Duration {
	count := max(n.count[stage]-before.count[stage], 1)
	return time.Duration((n.total[stage] - before.total[stage]) / count).Round(10 * time.Microsecond)
}

// cutsSince is how often the rate was cut since before, by cause.
func (n snapshot) cutsSince(before snapshot) slog.Attr {
	since := func(cause ratecontrol.Cause) int64 { return n.cuts[cause] - before.cuts[cause] }
	return slog.Group("cuts",
		"queue", since(ratecontrol.Queue), "late", since(ratecontrol.Late), "trips", since(ratecontrol.Trips),
		"losses", since(ratecontrol.Losses), "silence", since(ratecontrol.Silence),
		"estimate", since(ratecontrol.Estimated))
}
