// What the stages did and how long it took: counters, written for each picture, read once a second.

package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/ratecontrol"
	"github.com/krazycam/krazycam/v4l2"
)

// A Stage sums up the time that one stage of the pipeline took.
type Stage struct {
	n, total atomic.Int64 // pictures, nanoseconds
}

// Count is how many pictures or buffers the stage has done.
func (s *Stage) Count() int64 { return s.n.Load() }

// add counts one picture that took d.
func (s *Stage) add(d time.Duration) {
	s.n.Add(1)
	s.total.Add(int64(d))
}

// since counts one picture that took from start (CLOCK_MONOTONIC) until now and returns now.
func (s *Stage) since(start time.Duration) time.Duration {
	now := v4l2.Now()
	s.add(now - start)
	return now
}

// Stages counts what happened to the pictures of one camera, stage by stage.
// All of it may be read at any time, from any goroutine.
type Stages struct {
	Wait    Stage // start of exposure until the buffer is taken up
	Convert Stage // buffer to picture
	Encode  Stage // picture to frame
	Send    Stage // frame to packets handed to the kernel

	Frames, KeyFrames, Bytes atomic.Int64                     // sent
	Replaced                 atomic.Int64                     // pictures that a newer one replaced before the encoder was free
	Surplus                  atomic.Int64                     // buffers of a camera that is faster than the stream, left out
	Shed                     atomic.Int64                     // buffers left out because the board is too slow for all of them
	Skipped                  atomic.Int64                     // pictures that the encoder's rate control left out
	Unreadable               atomic.Int64                     // buffers that held no whole JPEG
	Held                     atomic.Int64                     // pictures left out because the network was full
	Rate                     atomic.Int64                     // bit/s that the network allows the encoder at present; 0: as the owner says
	Outages                  atomic.Int64                     // times the camera went away
	Cuts                     [ratecontrol.Causes]atomic.Int64 // of the rate, by cause
	buffers                  buffers                          // what the camera delivered and left out, by cause
}

// A reading is what the counters said at one moment.
type reading struct {
	at                                                                     time.Duration
	n, total                                                               [4]int64 // of Wait, Convert, Encode, Send
	frames, keyFrames, bytes, replaced, surplus, shed, skipped, unreadable int64
	held, rate                                                             int64
	cuts                                                                   [ratecontrol.Causes]int64
}

func (s *Stages) read(at time.Duration) reading {
	r := reading{
		at: at, frames: s.Frames.Load(), keyFrames: s.KeyFrames.Load(), bytes: s.Bytes.Load(),
		replaced: s.Replaced.Load(),
		surplus:  s.Surplus.Load(), shed: s.Shed.Load(), skipped: s.Skipped.Load(), unreadable: s.Unreadable.Load(),
	}
	r.held, r.rate = s.Held.Load(), s.Rate.Load()
	for i := range r.cuts {
		r.cuts[i] = s.Cuts[i].Load()
	}
	for i, st := range []*Stage{&s.Wait, &s.Convert, &s.Encode, &s.Send} {
		r.n[i], r.total[i] = st.n.Load(), st.total.Load()
	}
	return r
}

// report is how often the counters come out at debug level, and after how many
// of these times at info level.
const (
	report     = time.Second
	infoReport = 60
)

// Watch logs what the stages did: each second at debug level, each minute at
// info level, nothing while nothing happens. It returns when ctx ends.
func (s *Stages) Watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(report)
	defer tick.Stop()
	second := s.read(v4l2.Now())
	minute := second
	var secondly, minutely v4l2.Counters
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.read(v4l2.Now())
		second.log(ctx, log, slog.LevelDebug, now)
		second = now
		secondly = s.buffers.tell(ctx, log, slog.LevelDebug, secondly)
		if n%infoReport == 0 {
			minute.log(ctx, log, slog.LevelInfo, now)
			minute = now
			minutely = s.buffers.tell(ctx, log, slog.LevelInfo, minutely)
		}
	}
}

// log writes one line about what happened from r until now.
func (r reading) log(ctx context.Context, log *slog.Logger, level slog.Level, now reading) {
	if now.frames == r.frames && now.unreadable == r.unreadable { // a camera of which nothing can be read is no silence
		return
	}
	mean := func(i int) time.Duration {
		n := max(now.n[i]-r.n[i], 1)
		return time.Duration((now.total[i] - r.total[i]) / n).Round(10 * time.Microsecond)
	}
	seconds := (now.at - r.at).Seconds()
	log.Log(ctx, level, "streaming",
		"fps", fmt.Sprintf("%.1f", float64(now.frames-r.frames)/seconds),
		"kbit/s", int(float64(now.bytes-r.bytes)*8/1000/seconds),
		"wait", mean(0), "convert", mean(1), "encode", mean(2), "send", mean(3),
		"keyframes", now.keyFrames-r.keyFrames, "replaced", now.replaced-r.replaced,
		"surplus", now.surplus-r.surplus, "shed", now.shed-r.shed, "skipped", now.skipped-r.skipped, "unreadable", now.unreadable-r.unreadable,
		"held", now.held-r.held, "allowed_kbit/s", now.rate/1000,
		slog.Group("cuts", "queue", now.cuts[ratecontrol.Queue]-r.cuts[ratecontrol.Queue], "late", now.cuts[ratecontrol.Late]-r.cuts[ratecontrol.Late],
			"trips", now.cuts[ratecontrol.Trips]-r.cuts[ratecontrol.Trips],
			"losses", now.cuts[ratecontrol.Losses]-r.cuts[ratecontrol.Losses], "silence", now.cuts[ratecontrol.Silence]-r.cuts[ratecontrol.Silence],
			"estimate", now.cuts[ratecontrol.Estimated]-r.cuts[ratecontrol.Estimated]))
}
