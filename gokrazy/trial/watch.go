// Watching a version: whether it reaches a rung, and for how long it holds it.

package trial

import (
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
)

const (
	// startAllowance is how long after the kernel's start a board may take until the rung counts:
	// DHCP, a gateway that is asked every minute at worst, a camera that is slow to appear.
	startAllowance = 3 * time.Minute

	// maxExits ends a trial at once: a program that ended so often since the board's start crashes
	// in a loop. gokrazy starts it again after a second.
	maxExits = 5

	// maxHangs ends a trial at once, too: camsource was killed because it hung, and so was its successor.
	// A hang is seen after 30 s at the earliest, so that maxExits of them would take the stream away for
	// minutes.
	maxHangs = 2

	// longestGap is how long nobody may have looked and a rung still counts as held: a look takes
	// place every second, and a board under load may leave out a few.
	longestGap = 10 * time.Second

	// longestWait is after how long a version is tried again although the old one does not reach
	// its rung: the rung may be one that nobody can reach any more.
	longestWait = 6 * time.Hour
)

// retryPause is how long a version that was not judged rests before its next try, at least. A try takes
// the stream away for as long as the trial lasts, and longer: so the pauses are multiples of that, ten
// minutes and an hour for a trial of 60 s.
func retryPause(tries int, need time.Duration) time.Duration {
	if tries <= 1 {
		return 10 * need
	}
	return 60 * need
}

// An Observation is what is seen of the running version at one moment.
type Observation struct {
	Up     time.Duration // since the kernel's start
	Alive  bool          // camsource reports
	Rung   health.Rung   // as it reports
	Exits  int           // how often the program that ended most often has ended since the start
	Exited string        // that program's name
	Hangs  int           // how often camsource was killed since the start because it hung
	Words  string        // what keeps the stream from more, for a person; ""
}

// A Verdict is what a Watch has found.
type Verdict int

// The verdicts.
const (
	Undecided Verdict = iota
	Held              // it held the rung long enough
	Missed            // it did not, and had its time
)

// A Watch follows one version from its start. It is made for a rung and a time to hold it.
type Watch struct {
	want     health.Rung
	need     time.Duration
	patience time.Duration // since the kernel's start; 0: no end

	holding bool
	since   time.Duration // when the rung was reached, while it is held
	best    health.Rung   // reached so far
	last    Observation
}

// NewWatch watches for the rung of the record, as a slot on trial and the old slot after it both
// have to show it.
func NewWatch(r Record) *Watch {
	return &Watch{want: r.RungBefore, need: r.need(), patience: startAllowance + r.need(), best: health.None}
}

// Observe takes what is seen, about once a second. What nobody saw does not count.
func (w *Watch) Observe(o Observation) Verdict {
	if o.Up-w.last.Up > longestGap {
		w.holding = false
	}
	w.last = o
	if !o.Alive || !o.Rung.Reaches(w.want) {
		w.holding = false
	} else if !w.holding {
		w.holding, w.since = true, o.Up
	}
	if o.Alive && o.Rung.Reaches(w.best) {
		w.best = o.Rung
	}
	switch {
	case o.Exits >= maxExits, o.Hangs >= maxHangs:
		return Missed
	case w.holding && o.Up-w.since >= w.need:
		return Held
	case w.patience == 0, o.Up < w.patience:
		return Undecided
	case w.holding && o.Up < w.patience+w.need: // late, but it may just make it
		return Undecided
	}
	return Missed
}

// HeldFor is for how long the rung has been held.
func (w *Watch) HeldFor() time.Duration {
	if !w.holding {
		return 0
	}
	return w.last.Up - w.since
}

// Left is how long the rung must still be held at up, since the kernel's start; 0 or less if it need not
// or is not held.
func (w *Watch) Left(up time.Duration) time.Duration {
	if !w.holding {
		return 0
	}
	return w.since + w.need - up
}

// Best is the highest rung that was reached.
func (w *Watch) Best() health.Rung { return w.best }

// Explain says in words why the version missed its rung.
func (w *Watch) Explain() string {
	o := w.last
	switch {
	case o.Exits >= maxExits:
		return fmt.Sprintf("%s ended %d times", o.Exited, o.Exits)
	case o.Hangs >= maxHangs:
		return fmt.Sprintf("camsource hung %d times and was killed", o.Hangs)
	case !o.Alive:
		return "camsource reports nothing"
	case o.Rung.Reaches(w.want):
		return fmt.Sprintf("held the rung %q for %v only, of %v", w.want, w.HeldFor().Round(time.Second), w.need)
	}
	s := fmt.Sprintf("the stream came to the rung %q in %v, before the update it had %q",
		o.Rung, o.Up.Round(time.Second), w.want)
	if o.Words != "" {
		s += ": " + o.Words
	}
	return s
}

// A Pause is the time until a version that was not judged is tried again: at least its pause, then
// until the running version holds the rung, so that the next try is a fair one, or longestWait.
type Pause struct {
	tries int
	watch Watch
}

// NewPause begins with the start of the board.
func NewPause(r Record) *Pause {
	return &Pause{tries: r.Tries, watch: Watch{want: r.RungBefore, need: r.need(), best: health.None}}
}

// IsOver takes what is seen of the running version, about once a second.
func (p *Pause) IsOver(o Observation) bool {
	o.Exits, o.Hangs = 0, 0
	held := p.watch.Observe(o) == Held
	return o.Up >= longestWait || held && o.Up >= retryPause(p.tries, p.watch.need)
}

// recentPeriod is how long ago a rung may have been held to count as that of the version before an
// update: a gateway that is down at this moment must not lower what the new version has to reach.
const (
	recentPeriod = 15 * time.Minute
	recentHold   = 30 * time.Second
)

// A Memory remembers which rungs were held lately. The zero value remembers nothing.
type Memory struct {
	rungs []memory      // by health.Rungs
	last  time.Duration // when something was seen
}

type memory struct {
	holding     bool
	since, last time.Duration // when it was reached, and when it was last held long enough; 0: never
}

// Note takes what is seen, about once a second.
func (m *Memory) Note(o Observation) {
	rungs := health.Rungs()
	gap := o.Up-m.last > longestGap
	m.last = o.Up
	if m.rungs == nil {
		m.rungs = make([]memory, len(rungs))
	}
	for i, r := range rungs {
		at := &m.rungs[i]
		if !o.Alive || !o.Rung.Reaches(r) {
			at.holding = false
			continue
		}
		if !at.holding || gap {
			at.holding, at.since = true, o.Up
		}
		if o.Up-at.since >= recentHold {
			at.last = o.Up
		}
	}
}

// Before is the rung that the running version counts with at time up: the best that it held lately,
// or what it has now, given as now.
func (m *Memory) Before(up time.Duration, now health.Rung) health.Rung {
	best := now
	for i, at := range m.rungs {
		if r := health.Rungs()[i]; at.last > 0 && up-at.last <= recentPeriod && r.Reaches(best) {
			best = r
		}
	}
	return best
}
