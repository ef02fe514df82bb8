// How an update ends: read off a board's status.

package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// A Result is how an update ended.
type Result string

// The results.
const (
	ResultNone      Result = ""              // the board has not taken the bundle
	ResultAlready   Result = "already there" // it runs the version: nothing was sent
	ResultPromoted  Result = "promoted"      // it keeps the new version
	ResultFellBack  Result = "fell back"     // the new version did not work: it runs the old one
	ResultNotJudged Result = "not judged"    // neither works, as without a gateway: it runs the old one, tries again
	ResultGivenUp   Result = "given up"      // the same after the last try: it runs the old one
	ResultUnknown   Result = "unknown"       // it has taken the bundle and did not say how that ended
)

// An Outcome is what became of an update of one board.
type Outcome struct {
	Result  Result  `json:"result"`
	Version string  `json:"version"` // of the bundle
	Index   int64   `json:"index"`
	Before  string  `json:"before"`           // the version that ran
	Slot    string  `json:"slot,omitempty"`   // runs now
	Serial  string  `json:"serial,omitempty"` // of the board
	Reason  string  `json:"reason,omitempty"` // why it runs the old version
	Sent    int64   `json:"sent"`             // bytes of parts that the board took
	Seconds float64 `json:"seconds"`          // from the first question on
}

// holds says whether the board keeps a version.
func holds(s api.Status, version string, index int64) bool {
	return s.Version == version && s.Index == index && !s.OnTrial && s.Slot == s.Promoted && s.Slot != ""
}

// IsUndecided says whether the board has taken a version, and is still at it.
func IsUndecided(s api.Status, version string, index int64) bool {
	if !s.Trial.IsOf(version, index) {
		return false
	}
	switch s.Trial.State {
	case control.StateStaged, control.StateRequested, control.StateOnTrial, control.StateJudging:
		return true
	}
	return false
}

const (
	defaultPoll     = time.Second
	defaultPatience = 10 * time.Minute
	defaultStall    = 2 * time.Minute
	defaultWriting  = 25 * time.Minute
)

// watch asks until the board says how the update ended. It is restless about news only: a board may
// take as long as it shows that it goes on.
func (c *Client) watch(ctx context.Context, before api.Status, o *Outcome, progress func(Progress)) error {
	poll, patience := orDefault(c.Poll, defaultPoll), orDefault(c.Patience, defaultPatience)
	first := before
	var last news
	heard := time.Now()
	progress(Progress{Step: StepRestarting})
	for {
		s, err := c.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: not waited for the end: %w", c.Host, ctx.Err())
		case errors.Is(err, ErrFingerprint), errors.Is(err, ErrPassword):
			return err // another board has this address, or the password changed
		case err == nil:
			if before.Trial != nil && (s.Trial == nil || *s.Trial != *before.Trial) {
				before.Trial = nil // from here on, one that is like it is a new one, which ended alike
			}
			if judge(s, before, o) {
				return nil
			}
			if err := strayed(s, first, *o); err != nil {
				o.Result = ResultNone
				return fmt.Errorf("%s: %w", c.Host, err)
			}
			if now := newsOf(s); now != last {
				last, heard = now, time.Now()
			}
			progress(trialProgress(s, *o))
		default:
			progress(Progress{Step: StepRestarting})
		}
		if time.Since(heard) > patience {
			return fmt.Errorf("%s: nothing new for %v: %w", c.Host, patience, errors.Join(errNoNews, err))
		}
		if sleep(ctx, poll) != nil {
			return fmt.Errorf("%s: not waited for the end: %w", c.Host, ctx.Err())
		}
	}
}

var (
	// errNoNews is about a board that takes too long.
	errNoNews = errors.New("it did not say how the update ended")
	// errIdle is about one that was busy, and not with the update.
	errIdle = errors.New("it is done with what it was busy with, and does not have the update")
)

// strayed says why there is nothing to wait for. first is the status when the waiting began.
func strayed(s, first api.Status, o Outcome) error {
	if t := s.Trial; t != nil && !t.IsOf(o.Version, o.Index) && IsUndecided(s, t.Version, t.Index) &&
		!first.Trial.IsOf(t.Version, t.Index) {
		return fmt.Errorf("another update was brought to it: %s", oneLine(t.Version))
	}
	if first.Busy != "" && s.Busy == "" && !s.OnTrial && !IsUndecided(s, o.Version, o.Index) {
		return errIdle
	}
	return nil
}

func orDefault(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

// judge reads the outcome off a status, if it is there. before is the status before the update: what
// failed then failed in another try.
func judge(s, before api.Status, o *Outcome) bool {
	o.Slot = s.Slot
	if s.Failed != nil && before.Failed != nil && *s.Failed == *before.Failed {
		s.Failed = nil
	}
	if s.Trial != nil && before.Trial != nil && *s.Trial == *before.Trial {
		s.Trial = nil
	}
	result, reason := ResultOf(s, o.Version, o.Index)
	if result == ResultNone {
		return false
	}
	o.Result, o.Reason = result, reason
	return true
}

// ResultOf reads off a board's status what became of a version there, and why: ResultNone if the board
// has not had it, or is still at it.
func ResultOf(s api.Status, version string, index int64) (r Result, reason string) {
	switch {
	case holds(s, version, index):
		return ResultPromoted, ""
	case s.OnTrial, IsUndecided(s, version, index): // what failed before is tried anew
		return ResultNone, ""
	case s.Failed.IsOf(version, index):
		return ResultFellBack, s.Failed.Because
	case !s.Trial.IsOf(version, index):
		return ResultNone, ""
	}
	switch s.Trial.State {
	case control.StateFailed:
		return ResultFellBack, s.Trial.Reason
	case control.StateNotJudged:
		return ResultNotJudged, s.Trial.Reason
	case control.StateGivenUp:
		return ResultGivenUp, s.Trial.Reason
	}
	return ResultNone, ""
}

// news is what changes while a board goes on.
type news struct {
	slot, state string
	busy        string
	tries       int
	heldS       float64
}

func newsOf(s api.Status) news {
	n := news{slot: s.Slot, busy: s.Busy}
	if s.Trial != nil {
		n.state, n.tries, n.heldS = s.Trial.State, s.Trial.Tries, s.Trial.HeldS
	}
	return n
}

func trialProgress(s api.Status, o Outcome) Progress {
	if s.Busy != "" {
		return Progress{Step: StepWriting, Text: oneLine(s.Busy)}
	}
	if !s.Trial.IsOf(o.Version, o.Index) {
		return Progress{Step: StepRestarting}
	}
	text := ""
	if s.Trial.Rung != "" {
		text = fmt.Sprintf("%s, %s before", s.Trial.Rung, s.Trial.RungBefore)
	}
	if s.Trial.State == control.StateJudging {
		text = "went back to the old version, and looks whether that does better"
	}
	return Progress{Step: StepTrial, Done: s.Trial.HeldS, Total: s.Trial.NeedS, Unit: Seconds, Text: oneLine(text)}
}
