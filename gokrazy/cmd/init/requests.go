// What others may ask of init, and how a slot gets written.

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// A request is one that came in; answer has room for one answer, which is nil for yes.
type request struct {
	control.Request
	answer chan error
}

// A writerJob is what slotwriter is to do.
type writerJob struct {
	place    place
	rootOnly bool // an unsigned root, with the running slot's kernel
}

// slotWritten is how that ended.
type slotWritten struct{ err error }

// errUnsigned refuses a root without a signature. camweb has looked at the setting, too, but camweb
// reads what strangers send.
var errUnsigned = errors.New("update.gokrazy is not set: this board takes no root without a signature")

// take does what a request asks, or refuses.
func (s *supervisor) take(ctx context.Context, r request) {
	switch err := s.refusal(r.Ask); {
	case err != nil:
		s.refuse(r, err)
	case r.Ask == control.AskApply, r.Ask == control.AskApplyRoot:
		s.startWriting(ctx, r)
	case r.Ask == control.AskReboot:
		r.answer <- nil
		s.endIn(answerTime, func() { s.restart(nil, "") })
	case s.place.onTrial():
		r.answer <- s.promoteRunning(fmt.Sprintf("slot %s was promoted by hand", s.place.running))
	default:
		err := s.promoteOther()
		r.answer <- err
		if err == nil {
			s.endIn(answerTime, func() { s.restart(nil, "") })
		}
	}
}

// refusal says why a request cannot be done now.
func (s *supervisor) refusal(ask string) error {
	switch {
	case s.busy != "":
		return errors.New(s.busy)
	case ask == control.AskReboot && s.step != trial.Prove:
		return nil
	case s.unswitchable() != "":
		return errors.New(s.unswitchable())
	case ask == control.AskPromote:
		return nil
	case s.place.onTrial(): // also of a restart
		return errors.New(s.unpromoted())
	case ask == control.AskApplyRoot && !s.unsigned():
		return errUnsigned
	case s.updatable() != "":
		return errors.New(s.updatable())
	}
	return nil
}

// unpromoted says why nothing is written while a slot runs that is not promoted.
func (s *supervisor) unpromoted() string {
	here, there := s.place.running, s.place.promoted
	switch {
	case s.step != trial.GoBack:
		return fmt.Sprintf("slot %s is on trial: ask again when it has proved itself", here)
	case s.leaveAt > 0:
		return fmt.Sprintf("slot %s runs and nobody asked for it: the board goes back to slot %s within an hour",
			here, there)
	}
	why := "could not be promoted"
	if s.hasFailedHere(here) {
		why = "holds a version that failed here"
	}
	return fmt.Sprintf("slot %s, which is promoted, does not start, and slot %s %s: "+
		"promote that to take updates with it all the same", there, here, why)
}

// updatable says why this board takes no update; "": it does.
func (s *supervisor) updatable() string {
	lost := ""
	if !s.lasts {
		lost = "/perm does not last, so a board could not know what it tries: " + s.facts.Perm
	}
	unpromoted := ""
	if s.place.onTrial() {
		unpromoted = s.unpromoted()
	}
	return cmp.Or(s.unswitchable(), unpromoted, s.place.flaw, lost)
}

// unswitchable says why this board cannot be made to start another slot; "": it can.
func (s *supervisor) unswitchable() string {
	switch {
	case !s.place.running.Valid() || s.place.disk == "":
		return "the slots of this card cannot be told: it was not written from an image of krazycam"
	case s.place.trial == "":
		return fmt.Sprintf("how this model tries an update is not known: %.60q", s.place.model)
	}
	return ""
}

// refuse says no. What camweb in foreign hands could ask for every second is no event: the list of
// them would say nothing else any more.
func (s *supervisor) refuse(r request, err error) {
	r.answer <- err
	switch {
	case r.Ask != control.AskApply && r.Ask != control.AskApplyRoot:
	case s.busy != "" || errors.Is(err, errUnsigned):
		s.log.Warn("update refused", "error", err)
	default:
		s.note(events.Refusal, "update refused: "+err.Error())
	}
}

// startWriting has slotwriter write the other slot. The record goes first: whatever the slot held, a
// half-written one must never be tried.
func (s *supervisor) startWriting(ctx context.Context, r request) {
	if err := s.withCard(func(c cardSwitch) error { return errors.Join(c.CheckSwitch(), c.ClearTrial()) }); err != nil {
		s.refuse(r, err)
		return
	}
	other := s.place.running.Other()
	s.before = beforeWriting{s.kept.Record, s.step, s.kept.Started[string(other)]}
	s.kept.Record, s.step = nil, trial.Nothing
	delete(s.kept.Started, string(other))
	if err := s.save(s.kept); err != nil {
		s.restoreRecord()
		s.refuse(r, fmt.Errorf("/perm cannot be written: %w", err))
		return
	}
	delete(s.slots, other)
	s.busy, s.job = fmt.Sprintf("slot %s is being written", other), &r
	job := writerJob{s.place, r.Ask == control.AskApplyRoot}
	go func() { s.written <- slotWritten{s.writeSlot(ctx, job)} }()
}

// noteWriting puts slotwriter's progress into the status.
func (s *supervisor) noteWriting(doing string) {
	var step string
	var done, total int64
	if n, _ := fmt.Sscanf(doing, "step=%s done=%d total=%d", &step, &done, &total); n != 3 || s.job == nil {
		return
	}
	s.busy = fmt.Sprintf("slot %s is being written: %s, %d of %d MB",
		s.place.running.Other(), step, done>>20, total>>20)
}

// askRestart asks for a restart from another goroutine.
func (s *supervisor) askRestart(ctx context.Context) error {
	r := request{control.Request{Ask: control.AskReboot}, make(chan error, 1)}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finishWriting answers, and restarts into the new slot.
func (s *supervisor) finishWriting(w slotWritten) {
	r := *s.job
	s.busy, s.job = "", nil
	s.readManifests()
	err := w.err
	if err == nil {
		err = s.stage()
	}
	if err != nil {
		if w.err != nil {
			s.restoreRecord()
		}
		s.refuse(r, err)
		return
	}
	r.answer <- nil
	s.endIn(answerTime, s.try)
}

// A beforeWriting is what was known of the other slot before slotwriter ran.
type beforeWriting struct {
	record  *trial.Record // nil: none
	step    trial.Step
	started trial.Version // in the other slot
}

// restoreRecord gives that back as far as the slot still holds the version: what was refused before
// anything was written must not end the wait of another update.
func (s *supervisor) restoreRecord() {
	if s.kept.Record != nil {
		return
	}
	was, other := s.before, s.place.running.Other()
	if m := s.slots[other]; m != nil && was.started == m.version() {
		s.setStarted(other, m)
	}
	if r := was.record; r != nil {
		if m := s.slots[slot.Name(r.Slot)]; m != nil && m.isOf(*r) {
			s.step, s.kept.Record = was.step, r
		}
	}
	_ = s.keepAll() // without it, the other slot is not promoted by hand
}

// stage makes the record of the slot that was written.
func (s *supervisor) stage() error {
	other := s.place.running.Other()
	m := s.slots[other]
	if m == nil {
		return fmt.Errorf("slot %s has no manifest after it was written", other)
	}
	before := s.memory.Before(s.now(), s.rung())
	record := trial.Staged(string(other), m.Version, m.Index, before, m.trialSeconds())
	if err := s.keep(record); err != nil {
		s.kept.Record = nil
		return err
	}
	if err := s.request(record); err != nil {
		record.State, record.Reason = control.StateFailed, err.Error()
		s.settle(record)
		return err
	}
	s.note(events.Trial, fmt.Sprintf("update %s is written to slot %s; the rung to hold is %q",
		m.Version, other, before))
	return nil
}

// readManifests reads what both slots hold, as far as it can be read.
func (s *supervisor) readManifests() {
	var err error
	if s.slots, err = s.manifests(); err != nil {
		s.log.Error("slots", "error", err)
	}
	if err := s.publish(s.slots, s.place.promoted); err != nil {
		s.log.Error("slots", "error", err)
	}
}
