// How to bring a lost camera back beyond opening it again, and when. Time comes from the caller,
// and so do the steps in a test. Runs in the goroutine that captures.

package firmware

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// A rescueStep is a way to bring a camera back.
type rescueStep struct {
	name  string
	after time.Duration // since the last picture, or since the round began
	take  func(ctx context.Context, port string) error
}

// rescueSteps are taken in this order, each once a round, while the camera is opened again and
// again. A hang is noticed after 2 s of silence; the camera is opened again and silent for 2 s
// more: hence 4 s. The first two steps come early enough for the session at the gateway to
// survive, see outageLimit.
func rescueSteps() []rescueStep {
	reset := func(_ context.Context, port string) error { return usb.Reset(port) }
	return []rescueStep{
		{"USB reset", 4 * time.Second, reset},
		{"USB authorisation", 7 * time.Second, usb.Reauthorise},
		{"USB port power", 12 * time.Second, usb.CyclePower},
	}
}

// rescueRound is the time from the beginning of one round of steps to the next: a camera that
// was only unplugged needs none, and haste does not mend a broken one.
const rescueRound = 5 * time.Minute

// restartDelay is how long an outage lasts before a restart of the machine is requested: two
// rounds. Init grants one an hour at most. Only the loss of a camera that gave pictures since
// the last restart comes here, so that a board whose camera was taken away restarts once and not
// again and again.
const restartDelay = 2 * rescueRound

// A rescue is the state of an outage. In the zero rescue the camera works.
type rescue struct {
	steps       []rescueStep // nil: rescueSteps
	restartFile string       // requests a restart when it exists; "": nobody would look

	active           bool
	saidNoMode       bool
	neverWorked      bool          // the camera gave no picture yet: a restart would not be its last
	lastPicture      time.Duration // when the outage began, CLOCK_MONOTONIC
	roundStart       time.Duration
	port             string // where the camera was plugged in; "": unknown, or not on USB
	nextStep         int
	tried            []string
	restartRequested bool
}

// beginOutage notes that the camera, a pipeline.Camera or a *v4l2.NoModeError, gave its last picture
// at the given time, and returns whether that is news: false within an outage.
func (r *rescue) beginOutage(lastPicture time.Duration, camera any) (isNew bool) {
	if r.active {
		return false
	}
	if r.steps == nil {
		r.steps = rescueSteps()
	}
	*r = rescue{
		steps: r.steps, restartFile: r.restartFile, saidNoMode: r.saidNoMode,
		active: true, lastPicture: lastPicture, roundStart: lastPicture,
	}
	if d, ok := camera.(interface{ Identity() v4l2.Identity }); ok {
		r.port = d.Identity().Port
	}
	switch c := camera.(type) {
	case modal:
		if r.neverWorked = !c.EverWorked(); r.neverWorked {
			r.roundStart += modeTrials
		}
	case *v4l2.NoModeError: // its modes had their turn
		r.neverWorked = true
	}
	return true
}

// endOutage notes that the camera works again.
func (r *rescue) endOutage() {
	r.active, r.saidNoMode = false, false
	r.withdrawRestart()
}

// takeDueSteps takes the step that is due now, if any, and returns whether it took one. A failure
// is logged at debug level only: who may do what differs from board to PC, and the outage has its
// line already.
func (r *rescue) takeDueSteps(ctx context.Context, now time.Duration, log *slog.Logger) (taken bool) {
	r.requestRestart(now, log)
	step := r.dueStep(now)
	if step == nil {
		return false
	}
	if err := step.take(ctx, r.port); err != nil {
		log.Debug("camera not rescued", "by", step.name, "error", err)
		return false
	}
	log.Debug("camera rescue", "by", step.name)
	r.tried = append(r.tried, step.name)
	return true
}

// dueStep returns the step to take now and counts it as taken; nil: it is not time.
func (r *rescue) dueStep(now time.Duration) *rescueStep {
	if !r.active || r.port == "" {
		return nil
	}
	if r.nextStep == len(r.steps) {
		if now-r.roundStart < rescueRound {
			return nil
		}
		r.nextStep, r.roundStart = 0, now
	}
	if now-r.roundStart < r.steps[r.nextStep].after {
		return nil
	}
	r.nextStep++
	return &r.steps[r.nextStep-1]
}

// requestRestart asks the machine for a restart, once an outage, when the steps have failed for
// restartDelay.
func (r *rescue) requestRestart(now time.Duration, log *slog.Logger) {
	possible := r.active && !r.neverWorked && r.port != "" && r.restartFile != ""
	if !possible || r.restartRequested || now-r.lastPicture < restartDelay {
		return
	}
	r.restartRequested = true
	if err := os.WriteFile(r.restartFile, nil, 0o600); err != nil {
		log.Debug("camera not rescued", "by", "restart", "error", err)
		return
	}
	log.Debug("camera rescue", "by", "restart")
	r.tried = append(r.tried, "restart")
}

// withdrawRestart takes the request back, also that of a process before this one.
func (r *rescue) withdrawRestart() {
	if r.restartFile != "" {
		_ = os.Remove(r.restartFile) // mostly there is none
	}
	r.restartRequested = false
}
