// Package trial decides what becomes of an update: it stays, it failed, or it could not be judged.
//
// A board compares what two versions reach under the same sky. Before the restart it notes the rung
// (package health) that the old version held. The new one is promoted once it has held that rung, or
// a better one, for as long as its manifest asks. If it does not, the board goes back, and the old
// version has to show that it does better: only then the new one failed. Where the old one does no
// better either (the gateway is down, the cable is out) nothing was learned, and the new version is
// tried again later, three times in all.
//
// A Record is what outlives a restart. Its methods are rules without a clock, a disk or a goroutine:
// init passes in what it sees and does what they answer. A board whose record is lost stays with the
// promoted slot. Times of a Watch are since the kernel's start.
package trial

import (
	"cmp"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// maxTries is how often a version is started before somebody has to say more.
const maxTries = 3

// maxUnexplained is how many tries may end without a word: once it may have been a power cut.
const maxUnexplained = 2

// A Record is an update in progress, or the latest one. The zero Record is none.
type Record struct {
	Slot    string `json:"slot"` // that is tried, a or b
	Version string `json:"version"`
	Index   int64  `json:"index"`
	State   string `json:"state"` // one of control's
	Tries   int    `json:"tries"` // requested so far

	// Unexplained counts the tries that ended without an outcome, and nobody knows of what.
	Unexplained int `json:"unexplained,omitempty"`

	RungBefore health.Rung `json:"rung_before"`      // of the old version
	Rung       health.Rung `json:"rung,omitempty"`   // that the last try reached
	Reason     string      `json:"reason,omitempty"` // why it ended, in words
	NeedS      int         `json:"need_s"`           // for how long the rung must be held
}

// Staged gives the record of a slot that was just written.
func Staged(slot, version string, index int64, before health.Rung, needS int) Record {
	return Record{
		Slot: slot, Version: version, Index: index, State: control.StateStaged, RungBefore: before, NeedS: needS,
	}
}

// A Boot is what is known when the board has started.
type Boot struct {
	Running, Promoted string // slots
	PowerCut          bool   // it is known that the power was cut
	Restarted         bool   // it is known that it was not: a restart, a panic or the watchdog led here
	Died              string // what the run before, or the trial, is known to have died of; "": not known
	Untried           string // why this board's boot firmware can have tried nothing; "": not known
}

// A Step is what to do next.
type Step int

// The steps.
const (
	Nothing Step = iota
	Try          // save Counted, ask for the trial, save Requested, restart
	Prove        // the running slot is on trial: watch it
	GoBack       // the running slot is not promoted, and nobody asked for it: restart
	Judge        // the running slot is the old one: watch whether it does better
	Wait         // try again later
)

// AtBoot gives the record as it is after a start, and what to do. Save the record first if it
// changed.
func (r Record) AtBoot(b Boot) (Record, Step) {
	if b.Running != b.Promoted {
		return r.onTrial(b)
	}
	switch r.State {
	case control.StateStaged, control.StateRequested, control.StateOnTrial, control.StateJudging,
		control.StateNotJudged:
	default:
		return r, Nothing
	}
	if r.Slot == b.Running { // the power was cut between the promotion and its record
		return r.Promoted(), Nothing
	}
	switch r.State {
	case control.StateStaged: // a power cut before the restart, or before its request
		return r.retry()
	case control.StateRequested:
		return r.endUnseen(b)
	case control.StateOnTrial:
		return r.endUnexplained(b)
	case control.StateJudging:
		return r, Judge
	}
	return r, Wait
}

// onTrial is AtBoot in a slot that is not promoted.
func (r Record) onTrial(b Boot) (Record, Step) {
	switch {
	case r.Slot != b.Running:
		return r, GoBack
	case r.State == control.StateStaged: // the card knew of the request, and the record did not yet
		r.Tries = max(r.Tries, 1)
	case r.State != control.StateRequested && r.State != control.StateOnTrial:
		return r, GoBack
	}
	r.State, r.Rung, r.Reason = control.StateOnTrial, health.None, ""
	return r, Prove
}

// endUnseen is for a try that was asked for and did not reach its init. Where nobody knows whether
// the power was cut, it is tried once more, at once: a version must not be given up for good because
// of a power cut, and one that does not start costs one more restart.
func (r Record) endUnseen(b Boot) (Record, Step) {
	const what = "the board came back without having started it"
	switch {
	case b.PowerCut:
		return r.retry()
	case b.Died != "" || b.Restarted || b.Untried != "":
		return r.fail(withCause(what, cmp.Or(b.Untried, b.Died))), Nothing
	}
	r.Unexplained++
	if r.Unexplained >= maxUnexplained {
		return r.fail(fmt.Sprintf("%s, %d times", what, r.Unexplained)), Nothing
	}
	return r.retry()
}

// endUnexplained is for a try that reached its init and left no outcome.
func (r Record) endUnexplained(b Boot) (Record, Step) {
	switch {
	case b.PowerCut:
		return r.retry()
	case b.Died != "":
		return r.fail(withCause("it ended while it was on trial", b.Died)), Nothing
	}
	r.Unexplained++
	if r.Unexplained >= maxUnexplained {
		why := fmt.Sprintf("%d starts ended without a word: it hangs, or the power is cut", r.Unexplained)
		return r.fail(why), Nothing
	}
	r = r.notJudged("it ended without a word: it hung, or the power was cut")
	if r.State == control.StateGivenUp {
		return r, Nothing
	}
	return r, Wait
}

// retry tries again at once.
func (r Record) retry() (Record, Step) {
	if r.Tries >= maxTries {
		r.State, r.Reason = control.StateGivenUp, "the power was cut each time"
		return r, Nothing
	}
	r.State = control.StateStaged
	return r, Try
}

// Counted is the record to save before anything else is done for a try. Where that fails there must
// be no try: the board could restart for ever without knowing.
func (r Record) Counted() Record {
	r.State = control.StateStaged
	r.Tries++
	return r
}

// Requested is the record to save when nothing but the restart into the new slot is left.
func (r Record) Requested() Record {
	r.State = control.StateRequested
	return r
}

// WentBack is the record to save before the restart into the old slot: why, and what was reached.
func (r Record) WentBack(reason string, reached health.Rung) Record {
	r.State, r.Reason, r.Rung = control.StateJudging, reason, reached
	return r
}

// Promoted is the record of a slot that stays.
func (r Record) Promoted() Record {
	r.State, r.Reason = control.StatePromoted, ""
	return r
}

// Judged is the record after the old slot was watched. better says that it held what the new one did
// not.
func (r Record) Judged(better bool) Record {
	if better {
		return r.fail(r.Reason)
	}
	return r.notJudged(r.Reason)
}

func (r Record) fail(because string) Record {
	r.State, r.Reason = control.StateFailed, because
	return r
}

func (r Record) notJudged(reason string) Record {
	r.State, r.Reason = control.StateNotJudged, reason
	if r.Tries >= maxTries {
		r.State = control.StateGivenUp
	}
	return r
}

func withCause(what, cause string) string {
	if cause == "" {
		return what
	}
	return what + ": " + cause
}

// need is for how long the rung must be held.
func (r Record) need() time.Duration { return time.Duration(r.NeedS) * time.Second }
