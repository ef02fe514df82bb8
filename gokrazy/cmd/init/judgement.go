// What is done about the slots: trying, promoting, going back.

package main

import (
	"fmt"
	"time"

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
	news := s.noteStarted()
	news = s.forgetFailure() || news
	record, step := before.AtBoot(b)
	s.step = step
	if record != before {
		s.settle(record)
		news = false
	}
	if s.place.trial != "" {
		s.tidy()
	}
	if s.step != trial.GoBack && s.kept.WentBack {
		s.kept.WentBack, news = false, true
	}
	if news {
		_ = s.keepAll()
	}
	switch s.step {
	case trial.Prove, trial.Judge:
		s.watch = trial.NewWatch(record)
	case trial.Wait:
		s.pause = trial.NewPause(record)
	case trial.GoBack:
		s.leaveUnasked()
	case trial.Try:
		s.try()
	}
}

// noteStarted notes that the running version has started here, and says whether that is news.
func (s *supervisor) noteStarted() bool {
	n := s.place.running
	m := s.slots[n]
	if m == nil || s.kept.Started[string(n)] == m.version() {
		return false
	}
	s.setStarted(n, m)
	return true
}

func (s *supervisor) setStarted(n slot.Name, m *manifest) {
	if s.kept.Started == nil {
		s.kept.Started = map[string]trial.Version{}
	}
	s.kept.Started[string(n)] = m.version()
}

// forgetFailure says whether the version that failed here is the one that stays, after all: then it is
// no failure any more.
func (s *supervisor) forgetFailure() (forgot bool) {
	m := s.slots[s.place.running]
	if s.place.onTrial() || m == nil || !s.kept.Failed.IsOf(m.Version, m.Index) {
		return false
	}
	s.kept.Failed = nil
	return true
}

// leaveUnasked leaves a slot that nobody asked for. If the restart led here again, the promoted slot
// does not start on this board, and U-Boot has taken this one: then the board stays, and streams. What
// the next start would not know of, must not be done at once: the board could restart for ever.
func (s *supervisor) leaveUnasked() {
	here, there := s.place.running, s.place.promoted
	if s.kept.WentBack {
		s.stay()
		return
	}
	s.kept.WentBack = true
	if s.lasts && s.keepAll() == nil {
		s.note(events.Fallback, fmt.Sprintf("slot %s started and nobody asked for it: back to slot %s", here, there))
		s.restart(nil, "")
		return
	}
	s.kept.WentBack = false
	s.leaveAt = max(s.now(), minRestartUptime)
	s.note(events.Fallback, fmt.Sprintf("slot %s started and nobody asked for it: back to slot %s in %v, "+
		"since /perm does not keep that it was left", here, there, s.leaveAt.Round(time.Minute)))
}

// stay makes the running slot the promoted one, because that does not start. A version that did not
// work here is not promoted: a read error of the card may pass, and the other slot's version streams.
func (s *supervisor) stay() {
	here, there := s.place.running, s.place.promoted
	why := fmt.Sprintf("slot %s runs, because slot %s does not start", here, there)
	if s.hasFailedHere(here) || s.unswitchable() != "" {
		s.note(events.Fallback, why)
		return
	}
	_ = s.promoteRunning(why + ", and is promoted") // an error is logged, and the next start tries again
}

// hasFailedHere says that the version in a slot was tried on this board and not kept.
func (s *supervisor) hasFailedHere(n slot.Name) bool {
	m := s.slots[n]
	if m == nil {
		return true
	}
	if s.kept.Failed.IsOf(m.Version, m.Index) {
		return true
	}
	r := s.kept.Record
	return r != nil && m.isOf(*r) && (r.State == control.StateFailed || r.State == control.StateGivenUp)
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
	_ = s.keep(r) // an error is logged, and the next start knows less
}

// keep saves a record. Without it the board stays with what is promoted.
func (s *supervisor) keep(r trial.Record) error {
	s.kept.Record = &r
	return s.keepAll()
}

func (s *supervisor) keepAll() error {
	err := s.save(s.kept)
	if err != nil {
		s.log.Error("the state of the update is not kept", "error", err)
		return fmt.Errorf("/perm does not keep that it is tried: %w", err)
	}
	return nil
}

// note puts an event into the log and keeps it.
func (s *supervisor) note(kind, text string) {
	s.log.Info(text, "event", kind)
	if err := s.events.Add(kind, text); err != nil {
		s.log.Error("event", "error", err)
	}
}

// try starts the slot of the record once. The try is counted first. That it was asked for, the record
// says only when nothing but the restart is left, so that a power cut before it is no failure of the
// new version.
func (s *supervisor) try() {
	r := s.kept.Record.Counted()
	err := s.keep(r)
	if err == nil {
		err = s.request(r)
	}
	if err != nil {
		r.State, r.Reason = control.StateFailed, err.Error()
		s.settle(r)
		return
	}
	s.restart(func() { _ = s.keep(r.Requested()) }, s.trialArgument())
}

// request asks for the trial of a record's slot on the card.
func (s *supervisor) request(r trial.Record) error {
	n := slot.Name(r.Slot)
	if m := s.slots[n]; m == nil || !m.isOf(r) {
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
// it. news is the event of a slot that no update brought.
func (s *supervisor) promoteRunning(news string) error {
	n := s.place.running
	if err := s.withCard(func(c cardSwitch) error { return c.Promote(n) }); err != nil {
		s.log.Error("promotion", "error", err)
		if s.promotions++; s.promotions >= maxPromotions && s.step == trial.Prove {
			s.goBack(err.Error(), s.watch.Best())
		}
		return err
	}
	s.place.promoted = n
	s.forgetFailure()
	s.owner.Promoted()
	if r := s.kept.Record; r != nil && r.Slot == string(n) {
		s.settle(r.Promoted())
	} else {
		s.note(events.Promotion, news)
		s.step = trial.Nothing
		_ = s.keepAll()
	}
	s.readManifests()
	return nil
}

// promoteOther makes the other slot start from now on. Only a version that is known to have started
// here may: nothing would lead back from another one.
func (s *supervisor) promoteOther() error {
	n := s.place.running.Other()
	m := s.slots[n]
	switch {
	case m == nil:
		return fmt.Errorf("slot %s holds no whole version", n)
	case s.kept.Started[string(n)] != m.version():
		return fmt.Errorf("slot %s holds %s, which is not known to have started here: send it again as an update",
			n, m.Version)
	}
	if err := s.owner.HandOver(); err != nil {
		return fmt.Errorf("slot %s does not get the settings: %w", n, err)
	}
	if err := s.withCard(func(c cardSwitch) error { return c.Promote(n) }); err != nil {
		return err
	}
	s.note(events.Promotion, fmt.Sprintf("slot %s with %s was promoted by hand", n, m.Version))
	if r := s.kept.Record; r != nil && r.Slot == string(n) {
		_ = s.keep(r.Promoted()) // without it, the start of the promoted slot finds that out
	}
	return nil
}

// goBack ends the trial: the old slot will show whether it does better.
func (s *supervisor) goBack(reason string, reached health.Rung) {
	r := s.kept.Record.WentBack(reason, reached)
	s.note(events.Fallback, fmt.Sprintf("update %s is not promoted: %s", r.Version, reason))
	s.restart(func() { _ = s.keep(r) }, "")
}
