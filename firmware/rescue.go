// From the loss of a camera to its first new picture: when to try which way to bring it back. Pure but for the ways
// themselves, which are passed in; time comes from the caller.

package firmware

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// A rung is a way to bring a camera back beyond opening it again.
type rung struct {
	name  string
	after time.Duration // since the last picture
	climb func(ctx context.Context, port string) error
}

// rungs are tried in this order, each once, while the camera is opened again and again.
// The first two leave the session at the gateway its chance, see patience: a hang is
// noticed after 2 s of silence and opened again, silent for 2 s more.
func rungs() []rung {
	return []rung{
		{"USB reset", 4 * time.Second, func(_ context.Context, port string) error { return usb.Reset(port) }},
		{"USB authorisation", 7 * time.Second, usb.Reauthorise},
		{"USB port power", 12 * time.Second, usb.CyclePower},
	}
}

// againAfter is the pause before the rungs are climbed once more: a camera that was only
// unplugged needs none of them, and one that is broken is not mended by haste.
const againAfter = 5 * time.Minute

// restartAfter is how long an outage lasts before a restart of the machine is wished for: two
// climbs of the rungs. Who decides sees to it that there is one an hour at most. Only the loss
// of a camera that gave pictures since the last restart comes here, so that a board whose
// camera was taken away restarts once and not for ever.
const restartAfter = 2 * againAfter

// A rescue is the state of an outage. The zero rescue is a camera that works.
type rescue struct {
	ladder []rung // nil: rungs
	down   bool
	since  time.Duration // the last picture, CLOCK_MONOTONIC
	round  time.Duration // where the rungs are counted from
	port   string        // where the camera was plugged in; "": unknown, or not on USB
	next   int
	tried  []string
	wish   string // file that asks for a restart; "": nobody would listen
	wished bool
}

// fell says that the camera gave its last picture at seen, and whether that is news.
func (r *rescue) fell(seen time.Duration, camera pipeline.Camera) bool {
	if r.down {
		return false
	}
	if r.ladder == nil {
		r.ladder = rungs()
	}
	*r = rescue{ladder: r.ladder, wish: r.wish, down: true, since: seen, round: seen}
	if d, ok := camera.(interface{ Identity() v4l2.Identity }); ok {
		r.port = d.Identity().Port
	}
	return true
}

// due is the rung to climb at now, nil if it is not time.
func (r *rescue) due(now time.Duration) *rung {
	if !r.down || r.port == "" {
		return nil
	}
	if r.next == len(r.ladder) {
		if now-r.round < againAfter {
			return nil
		}
		r.next, r.round = 0, now
	}
	if now-r.round < r.ladder[r.next].after {
		return nil
	}
	r.next++
	return &r.ladder[r.next-1]
}

// climb does what is due now. What fails is not told: who may do what differs from board to
// PC, and the outage has its line already.
func (r *rescue) climb(ctx context.Context, now time.Duration, log *slog.Logger) {
	r.despair(now, log)
	step := r.due(now)
	if step == nil {
		return
	}
	if err := step.climb(ctx, r.port); err != nil {
		log.Debug("camera not rescued", "by", step.name, "because", err)
		return
	}
	log.Debug("camera rescue", "by", step.name)
	r.tried = append(r.tried, step.name)
}

// despair wishes for a restart when all else has failed for long enough.
func (r *rescue) despair(now time.Duration, log *slog.Logger) {
	if r.wish == "" || r.wished || !r.down || r.port == "" || now-r.since < restartAfter {
		return
	}
	r.wished = true
	if err := os.WriteFile(r.wish, nil, 0o600); err != nil {
		log.Debug("camera not rescued", "by", "restart", "because", err)
		return
	}
	log.Debug("camera rescue", "by", "restart")
	r.tried = append(r.tried, "restart")
}

// withdraw takes the wish back, also that of a process before this one.
func (r *rescue) withdraw() {
	if r.wish != "" {
		_ = os.Remove(r.wish) // mostly there is none
	}
	r.wished = false
}

// back returns what to do when the camera gives its first buffer: it ends the outage; nil if
// there is none.
func (s *Source) back(camera pipeline.Camera) (first func()) {
	if !s.rescue.down {
		return nil
	}
	return func() {
		s.Log.Info("camera back", "camera", camera.String(),
			"after", (s.now() - s.rescue.since).Round(time.Millisecond), "tried", s.rescue.tried)
		s.rescue.down = false
		s.rescue.withdraw()
	}
}
