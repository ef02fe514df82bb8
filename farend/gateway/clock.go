// When this gateway may trust that a silence is the source's own.

package gateway

import "time"

// clockStepMin is by how much the clock must have been set between two ticks to count: less than a
// lease has to spare.
const clockStepMin = time.Second

// clockWatch compares the clock, which may be set, with the time that passes. Run alone uses it.
type clockWatch struct {
	wall   time.Time // of the last look, without Go's monotonic reading
	uptime time.Duration
}

// wasSet says whether the clock was set since the last look.
func (w *clockWatch) wasSet(now time.Time, uptime time.Duration) bool {
	now = now.Round(0)
	isFirst := w.wall.IsZero()
	step := now.Sub(w.wall) - (uptime - w.uptime)
	w.wall, w.uptime = now, uptime
	return !isFirst && step.Abs() > clockStepMin
}

// noteClock looks whether the clock was set. By such a clock, sources were silent for a time that never
// passed.
func (g *Gateway) noteClock() {
	uptime := g.config.Uptime()
	if g.clock.wasSet(g.config.Now(), uptime) {
		g.config.Log.Warn("gateway: the clock was set: no lease runs out before its whole length has passed again")
		g.disturbance.note(uptime)
	}
}

// undisturbed is for how long this gateway has run, the store answered, and the clock not been set.
func (g *Gateway) undisturbed() time.Duration {
	uptime := g.config.Uptime()
	return min(uptime-g.began, g.outage.since(uptime), g.disturbance.since(uptime))
}
