// Package fleet brings one bundle to many boards by push: some at a time, each once, and no more after
// some of them fell back or fell silent.
//
// Each board's step is durable in a state file before the next one is taken, so that a run may be
// killed and continued: boards that were in the middle are asked first what became of them, and none
// gets the update a second time. What a board's end is it says itself (package remote).
//
// Run owns a goroutine for each board that it is at, and waits for all of them; the state file and
// the report belong to the goroutine that called it. Sizes are in bytes.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A Board is one that can be asked; *remote.Client is one, with Once: between Status and Update a trial may
// end.
type Board interface {
	Status(ctx context.Context) (api.Status, error)
	Update(ctx context.Context, b *update.Bundle, progress func(remote.Progress)) (remote.Outcome, error)
}

// Config is what a Run goes by.
type Config struct {
	Hosts     []string
	Bundle    *update.Bundle
	AtOnce    int    // boards at a time; at least 1
	StopAfter int    // boards that fall back or fall silent with it, after which none is begun; 0: never
	State     string // file; "": nothing outlives the Run
	Now       func() time.Time

	// Connect finds a board. It is called by several goroutines at once.
	Connect func(ctx context.Context, host string) (Board, error)

	// Report is called, by the goroutine that called Run, with each step of each board and with its
	// progress in between; first with the boards of an earlier run that need nothing more. It may be nil.
	Report func(Row, remote.Progress)
}

// A Summary is how many boards ended how, earlier runs included.
type Summary struct {
	Update
	Boards  int          `json:"boards"`
	Ends    map[Step]int `json:"ends"`
	Stopped bool         `json:"stopped"` // too many fell back or fell silent: the rest was not begun
}

// Left is how many boards have no end yet.
func (s Summary) Left() int {
	left := s.Boards
	for _, n := range s.Ends {
		left -= n
	}
	return left
}

// IsGood says whether every board has the new version.
func (s Summary) IsGood() bool { return s.Ends[Promoted]+s.Ends[Already] == s.Boards }

// Run goes through the boards until all have an end, ctx ends, or too many fell back or fell silent; those
// that it is at then are waited for, except if ctx ended. The Summary holds with an error, too: ctx's, or that
// the state cannot be kept, after which no board is begun.
func Run(ctx context.Context, c Config) (Summary, error) {
	m := c.Bundle.Manifest
	r := &run{Config: c, update: Update{m.Version, m.Board, m.Index}, events: make(chan event), ends: map[Step]int{}}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Report == nil {
		r.Report = func(Row, remote.Progress) {}
	}
	var err error
	if r.journal, err = openJournal(c.State, r.update); err != nil {
		return r.summary(), fmt.Errorf("state: %w", err)
	}
	err = r.all(ctx)
	if closeErr := r.journal.close(); err == nil && closeErr != nil {
		err = fmt.Errorf("state: %w", closeErr)
	}
	return r.summary(), err
}

// A run is one Run. Only the goroutine that called it uses journal.
type run struct {
	Config
	update  Update
	journal *journal
	events  chan event
	ends    map[Step]int // boards that have one
}

// An event is news of a board. done, if it is not nil, gets an answer once the row is durable.
type event struct {
	row      Row
	progress remote.Progress
	done     chan error
	over     bool // the board's goroutine ends
}

func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := r.waiting()
	busy := 0
	var broken error // the state cannot be kept
	for {
		for broken == nil && ctx.Err() == nil && busy < max(r.AtOnce, 1) && len(waiting) > 0 {
			host := waiting[0]
			before, stopped := r.journal.rows[host].Step, r.isStopped()
			if stopped && !before.mayHaveIt() {
				break
			}
			waiting = waiting[1:]
			busy++
			go r.visit(ctx, host, before, stopped)
		}
		if busy == 0 {
			if broken != nil {
				return broken // which matters more than that ctx ended
			}
			return context.Cause(ctx)
		}
		e := <-r.events
		if e.over {
			busy--
			continue
		}
		var err error
		if e.done != nil {
			if err = r.note(e.row); err != nil {
				broken = errors.Join(broken, err)
			}
			e.done <- err
		}
		r.Report(e.row, e.progress)
	}
}

// note makes a row durable and counts it.
func (r *run) note(row Row) error {
	r.count(r.journal.rows[row.Host].Step, -1)
	r.count(row.Step, 1)
	if err := r.journal.note(row); err != nil {
		return fmt.Errorf("state: %s is not kept: %w", row.Host, err)
	}
	return nil
}

func (r *run) count(s Step, n int) {
	if s.IsEnd() {
		r.ends[s] += n
	}
}

// waiting lists the boards that have no end yet, and those that may have another one by now: first the
// boards that may have the update, of which a stopped run asks what became of them.
func (r *run) waiting() []string {
	var first, rest []string
	for _, host := range r.Hosts {
		row := r.journal.rows[host]
		r.count(row.Step, 1)
		switch {
		case row.Step == Promoted, row.Step == Already, row.Step == FellBack:
			r.Report(row, remote.Progress{})
		case row.Step.mayHaveIt():
			first = append(first, host)
		default:
			rest = append(rest, host)
		}
	}
	return append(first, rest...)
}

// isStopped counts boards that fell silent, too: a version with which nobody can reach the boards any more
// may well do what a board judges it by, which is its stream.
func (r *run) isStopped() bool {
	return r.StopAfter > 0 && r.ends[FellBack]+r.ends[Unknown] >= r.StopAfter
}

func (r *run) summary() Summary {
	return Summary{Update: r.update, Boards: len(r.Hosts), Ends: r.ends, Stopped: r.isStopped()}
}

// visit is one board's goroutine. before is its step in an earlier run. stopped: the board is asked, and
// sent nothing.
func (r *run) visit(ctx context.Context, host string, before Step, stopped bool) {
	defer func() { r.events <- event{over: true} }()
	row := Row{Host: host}
	fresh := before == ""
	if fresh || before == Failed {
		if r.say(row, Begun) != nil {
			return
		}
	}
	board, err := r.Connect(ctx, host)
	var status api.Status
	if err == nil {
		status, err = board.Status(ctx)
	}
	if ctx.Err() != nil {
		return // a later run asks again
	}
	if err != nil {
		row.Reason = reasonOf(host, err)
		_ = r.say(row, endOfUnreachable(before))
		return
	}
	row.Serial, row.Before, row.Slot = status.Serial, status.Version, status.Slot
	if end, reason := r.knownEnd(status, fresh); end != "" {
		row.Reason = reason
		_ = r.say(row, end)
		return
	}
	if stopped && !remote.IsUndecided(status, r.update.Version, r.update.Index) {
		_ = r.say(row, before)
		return
	}
	r.bring(ctx, board, row, before)
}

// reasonOf leaves out the host, which the row has.
func reasonOf(host string, err error) string { return strings.TrimPrefix(err.Error(), host+": ") }

// endOfUnreachable keeps a board that took the update from being called one that did not. before is its
// step in an earlier run, "" for none.
func endOfUnreachable(before Step) Step {
	switch before {
	case NotJudged, GivenUp:
		return before
	case Taken, Unknown:
		return Unknown
	}
	return Failed
}

// bring has the board updated, or goes on with the watching.
func (r *run) bring(ctx context.Context, board Board, row Row, before Step) {
	o, end, err := r.updateOnce(ctx, board, row, before)
	if end == "" || ctx.Err() != nil && err != nil {
		return // what became of it a later run asks
	}
	if o.Serial != "" {
		row.Serial = o.Serial
	}
	if o.Slot != "" {
		row.Slot = o.Slot
	}
	row.Sent, row.Seconds, row.Reason = o.Sent, o.Seconds, o.Reason
	if err != nil {
		row.Reason = reasonOf(row.Host, err)
	}
	_ = r.say(row, end)
}

// updateOnce has the board updated once. end is "" if the state cannot be kept.
func (r *run) updateOnce(ctx context.Context, board Board, row Row, before Step) (
	o remote.Outcome, end Step, err error) {
	taken := before != "" && before != Begun
	broken := false
	o, err = board.Update(ctx, r.Bundle, func(p remote.Progress) {
		if !taken && (p.Step == remote.StepWriting || p.Step == remote.StepRestarting || p.Step == remote.StepTrial) {
			taken = true
			broken = r.say(row, Taken) != nil
		}
		at := row
		if at.Step = Begun; taken {
			at.Step = Taken
		}
		r.events <- event{row: at, progress: p}
	})
	switch {
	case broken:
		return o, "", err
	case err == nil && o.Result == remote.ResultAlready && before != "":
		return o, Promoted, nil // by what an earlier run has sent
	case err == nil || o.Result == remote.ResultUnknown:
		return o, stepOf(o.Result), err
	}
	return o, Failed, err
}

func stepOf(r remote.Result) Step {
	switch r {
	case remote.ResultAlready:
		return Already
	case remote.ResultPromoted:
		return Promoted
	case remote.ResultFellBack:
		return FellBack
	case remote.ResultNotJudged:
		return NotJudged
	case remote.ResultGivenUp:
		return GivenUp
	case remote.ResultNone:
		return Failed
	}
	return Unknown
}

// say makes a step durable. An error ends the Run.
func (r *run) say(row Row, step Step) error {
	row.Step, row.At = step, r.Now().UTC().Truncate(time.Second)
	done := make(chan error, 1)
	r.events <- event{row: row, done: done}
	return <-done
}

// knownEnd reads off a board's status what became of the update, if it had it before: from an earlier
// run, or by another way. fresh: no run has been at it before. "": it is to be brought, or watched.
func (r *run) knownEnd(s api.Status, fresh bool) (end Step, reason string) {
	result, reason := remote.ResultOf(s, r.update.Version, r.update.Index)
	switch {
	case result == remote.ResultNone:
		return "", ""
	case result == remote.ResultPromoted && fresh:
		return Already, ""
	}
	return stepOf(result), reason
}
