// What is done about the slots: trying, promoting, going back.

package main

import (
	"fmt"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// maxPromotions is how often the promotion is tried, once a second, before the slot is given up: a
// card that cannot be written will not start it again.
const maxPromotions = 10

// begin goes on where the run before ended. kept is what it left.
func (s *supervisor) begin(kept trial.Kept, b trial.Boot) {
	s.kept = kept
	before := trial.Record{}
	if kept.Record != nil {
		before = *kept.Record
	}
	record, step := before.AtBoot(b)
	s.step = step
	if record != before {
		s.settle(record)
	}
	if s.place.trial != "" {
		s.tidy()
	}
	switch s.step {
	case trial.Prove, trial.Judge:
		s.watch = trial.NewWatch(record)
	case trial.Wait:
		s.pause = trial.NewPause(record)
	case trial.GoBack:
		s.goBackOnce()
	case trial.Try:
		s.try()
	}
	if s.step != trial.GoBack && s.kept.WentBack {
		s.kept.WentBack = false
		s.keepAll()
	}
}

// goBackOnce leaves a slot that nobody asked for. If the restart led here again, the promoted slot
// does not start on this board, and U-Boot has taken this one: then the board stays, and streams.
func (s *supervisor) goBackOnce() {
	here, there := s.place.running, s.place.promoted
	if s.kept.WentBack {
		s.note(events.Fallback, fmt.Sprintf("slot %s runs, because slot %s does not start", here, there))
		return
	}
	s.note(events.Fallback, fmt.Sprintf("slot %s started and nobody asked for it: back to slot %s", here, there))
	s.kept.WentBack = true
	if s.keepAll() { // else the next start would not know
		s.restart(nil, "")
	}
}

// tidy takes back the request that led here, so that the next restart is a plain one, and makes all
// places of the card agree.
func (s *supervisor) tidy() {
	err := s.withCard(func(c cardSwitch) error {
		if !s.place.onTrial() {
			if _, err := c.Heal(s.place.trial, s.place.running); err != nil {
				return err
			}
		}
		return c.ClearTrial()
	})
	if err != nil {
		s.log.Error("slots: what starts is not in order", "error", err)
	}
}

// settle keeps a record, and says what is new about it.
func (s *supervisor) settle(r trial.Record) {
	switch r.State {
	case control.StateFailed:
		s.kept.Failed = &control.Failed{Version: r.Version, Index: r.Index, Because: r.Reason, At: s.clock().UTC()}
		s.note(events.Fallback, fmt.Sprintf("update %s failed: %s", r.Version, r.Reason))
		s.step = trial.Nothing
	case control.StateGivenUp:
		s.note(events.Fallback, fmt.Sprintf("update %s is given up, not judged in %d tries: %s",
			r.Version, r.Tries, r.Reason))
		s.step = trial.Nothing
	case control.StateNotJudged:
		s.note(events.Fallback, fmt.Sprintf("update %s is not judged: %s", r.Version, r.Reason))
		s.step, s.pause = trial.Wait, trial.NewPause(r)
	case control.StateOnTrial:
		s.note(events.Trial, fmt.Sprintf("update %s is on trial in slot %s, try %d", r.Version, r.Slot, r.Tries))
	case control.StatePromoted:
		s.note(events.Promotion, fmt.Sprintf("update %s stays, in slot %s", r.Version, r.Slot))
		s.step = trial.Nothing
	}
	s.keep(r)
}

// keep saves a record. Without it the board stays with what is promoted.
func (s *supervisor) keep(r trial.Record) {
	s.kept.Record = &r
	s.keepAll()
}

func (s *supervisor) keepAll() (ok bool) {
	err := s.save(s.kept)
	if err != nil {
		s.log.Error("the state of the update is not kept", "error", err)
	}
	return err == nil
}

// note puts an event into the log and keeps it.
func (s *supervisor) note(kind, text string) {
	s.log.Info(text, "event", kind)
	if err := s.events.Add(kind, text); err != nil {
		s.log.Error("event", "error", err)
	}
}

// try starts the slot of the record once. The record says so only when nothing but the restart is
// left, so that a power cut before it is no failure of the new version.
func (s *supervisor) try() {
	r := *s.kept.Record
	if err := s.request(r); err != nil {
		r.State, r.Reason = control.StateFailed, err.Error()
		s.settle(r)
		return
	}
	s.restart(func() { s.keep(r.Requested()) }, s.trialArgument())
}

// request asks for the trial of a record's slot on the card.
func (s *supervisor) request(r trial.Record) error {
	n := slot.Name(r.Slot)
	if m := s.slots[n]; m == nil || m.Version != r.Version || m.Index != r.Index {
		return fmt.Errorf("slot %s does not hold %s any more", n, r.Version)
	}
	if err := s.withCard(func(c cardSwitch) error { return c.RequestTrial(n) }); err != nil {
		return fmt.Errorf("slot %s cannot be tried: %w", n, err)
	}
	return nil
}

// trialArgument is what the restart into a trial says to the boot firmware.
func (s *supervisor) trialArgument() string {
	if s.place.trial == board.Tryboot {
		return trybootArgument
	}
	return ""
}

// promoteRunning makes the slot that runs the one that stays: it has proved itself, or somebody wants
// it.
func (s *supervisor) promoteRunning() error {
	n := s.place.running
	if err := s.withCard(func(c cardSwitch) error { return c.Promote(n) }); err != nil {
		s.log.Error("promotion", "error", err)
		if s.promotions++; s.promotions >= maxPromotions && s.step == trial.Prove {
			s.goBack(err.Error(), s.watch.Best())
		}
		return err
	}
	s.place.promoted = n
	s.owner.Promoted()
	if r := s.kept.Record; r != nil && r.Slot == string(n) {
		s.settle(r.Promoted())
	} else {
		s.note(events.Promotion, fmt.Sprintf("slot %s was promoted by hand", n))
		s.step = trial.Nothing
	}
	s.readManifests()
	return nil
}

// promoteOther makes the other slot start from now on. Only one that has started here may: nothing
// would lead back from another one.
func (s *supervisor) promoteOther() error {
	n := s.place.running.Other()
	r := s.kept.Record
	switch {
	case s.slots[n] == nil:
		return fmt.Errorf("slot %s holds no whole version", n)
	case r != nil && r.Slot == string(n) && !r.Started:
		return fmt.Errorf("slot %s holds %s, which has never started here", n, r.Version)
	}
	if err := s.owner.HandOver(); err != nil {
		return fmt.Errorf("slot %s does not get the settings: %w", n, err)
	}
	if err := s.withCard(func(c cardSwitch) error { return c.Promote(n) }); err != nil {
		return err
	}
	s.note(events.Promotion, fmt.Sprintf("slot %s with %s was promoted by hand", n, s.slots[n].Version))
	if r != nil && r.Slot == string(n) {
		s.keep(r.Promoted())
	}
	return nil
}

// goBack ends the trial: the old slot will show whether it does better.
func (s *supervisor) goBack(reason string, reached health.Rung) {
	r := s.kept.Record.WentBack(reason, reached)
	s.note(events.Fallback, fmt.Sprintf("update %s is not promoted: %s", r.Version, reason))
	s.restart(func() { s.keep(r) }, "")
}
