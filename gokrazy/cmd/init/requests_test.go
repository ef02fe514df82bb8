package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// Whatever becomes of the record, a version that never started here is not promoted by hand.
func TestAVersionThatNeverStartedIsNotPromoted(t *testing.T) {
	failed := func(t *testing.T) *fakeBoard {
		b := newFakeBoard(t, board.Tryboot)
		b.live(time.Hour, control.AskApply)
		b.running, b.cause.Restarted = slot.A, true // its kernel never came up
		b.live(time.Minute)
		return b
	}
	for name, lose := range map[string]func(*fakeBoard){
		"the record lasts": func(*fakeBoard) {},
		"/perm is lost":    func(b *fakeBoard) { b.kept = trial.Kept{} },
		"an update was refused": func(b *fakeBoard) {
			b.writeErr, b.early = errors.New("signature"), true
			b.ask(b.started(slot.A), control.AskApply, []string{"signature"})
		},
		"the power was cut while slotwriter checked": func(b *fakeBoard) {
			s := b.started(slot.A)
			b.writeErr, b.early = errors.New("signature"), true
			s.take(b.t.Context(), request{control.Request{Ask: control.AskApply}, make(chan error, 1)})
			<-s.written
		},
		"the power was cut between the writing and the record": func(b *fakeBoard) {
			s := b.started(slot.A)
			s.take(b.t.Context(), request{control.Request{Ask: control.AskApply}, make(chan error, 1)})
			<-s.written
		},
		"it was written anew over one that had started": func(b *fakeBoard) {
			b.kept.Started["b"] = trial.Version{Version: "v2", Index: 2}
			s := b.started(slot.A)
			s.take(b.t.Context(), request{control.Request{Ask: control.AskApply}, make(chan error, 1)})
			<-s.written
		},
		"/perm was full when an update was refused": func(b *fakeBoard) {
			s := b.started(slot.A)
			b.writeErr, b.early = errors.New("signature"), true
			r := request{control.Request{Ask: control.AskApply}, make(chan error, 1)}
			s.take(b.t.Context(), r)
			b.saveErr = errors.New("no space left on device")
			s.finishWriting(<-s.written)
			b.saveErr = nil
		},
	} {
		b := failed(t)
		lose(b)
		b.ask(b.started(slot.A), control.AskPromote, []string{"not known to have started here"})
		if b.promoted != slot.A {
			t.Errorf("%s: slot %s is promoted", name, b.promoted)
		}
	}
}

func TestAVersionThatStartedOnceCanBePromotedAgain(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.live(time.Hour, control.AskApply)
	b.live(3 * time.Minute)
	b.writeErr, b.early = errors.New("signature"), true // a refused update changes nothing about it
	b.ask(b.started(slot.B), control.AskApply, []string{"signature"})
	b.live(time.Minute, control.AskPromote)
	if b.promoted != slot.A {
		t.Errorf("promoted %s, want the old version", b.promoted)
	}
}

func TestUpdateIsRefusedIfItsTrialCannotBeKept(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	s := b.started(slot.A)
	r := b.begin(s, control.AskApply)
	b.saveErr = errors.New("no space left on device")
	s.finishWriting(<-s.written)
	if err := <-r.answer; err == nil || !strings.Contains(err.Error(), "no space") || b.try != slot.None {
		t.Errorf("apply: %v, the card is to try %q", err, b.try)
	}
	b.up += time.Minute
	if s.turn(); b.restarted {
		t.Error("restarted all the same")
	}
}

func TestWhoeverSendsAnUpdateHearsThatItCannotBeTried(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	s := b.started(slot.A)
	r := b.begin(s, control.AskApply)
	b.cardErr = errors.New("input/output error")
	s.finishWriting(<-s.written)
	if err := <-r.answer; err == nil || !strings.Contains(err.Error(), "cannot be tried: input/output error") {
		t.Errorf("apply: %v", err)
	}
	if s.turn(); b.status.Failed == nil || b.status.Busy != "" {
		t.Errorf("status %+v, want v2 failed", b.status)
	}
}

// A gateway that is down at this moment must not lower what the new version has to reach.
func TestTheRungToReachIsThatOfTheLastMinutes(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	b.reaches[slot.A] = func(up time.Duration) health.Rung {
		if up > 5*time.Minute {
			return health.Camera
		}
		return health.Reported
	}
	for ; b.up < 10*time.Minute; b.up += time.Second {
		s.turn()
	}
	b.ask(s, control.AskApply, nil)
	if got := b.kept.Record.RungBefore; got != health.Reported {
		t.Errorf("rung before: %q, want %q", got, health.Reported)
	}
}

// Between the answer and the restart, the wait of that very slot may end.
func TestAWaitThatEndsAfterAPromotionTriesNothing(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	waiting := trial.Staged("b", "v2", 2, health.Validated, 60)
	waiting.State, waiting.Tries = control.StateNotJudged, 1
	b.kept = trial.Kept{Record: &waiting, Started: map[string]trial.Version{"b": {Version: "v2", Index: 2}}}
	b.slots[slot.B] = &manifest{Version: "v2", Index: 2, TrialS: 60}
	s := b.started(slot.A)
	s.turn()
	b.up = 24 * time.Hour
	b.ask(s, control.AskPromote, nil)
	for ; !b.restarted && b.up < 25*time.Hour; b.up += time.Second / 2 {
		s.turn()
	}
	if b.argument != "" || b.kept.Failed != nil || b.kept.Record.State != control.StatePromoted {
		t.Errorf("restart with %q, record %+v, failed %+v", b.argument, b.kept.Record, b.kept.Failed)
	}
}

func TestWhileASlotIsOnTrialNothingIsWritten(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.live(time.Hour, control.AskApply)
	s := b.started(slot.B)
	b.ask(s, control.AskApply, []string{"slot b is on trial"})
	b.ask(s, control.AskApplyRoot, []string{"slot b is on trial"})
	b.ask(s, control.AskReboot, []string{"slot b is on trial"})
	if s.turn(); !strings.Contains(b.status.Updatable, "slot b is on trial") {
		t.Errorf("updatable = %q", b.status.Updatable)
	}
	b.ask(s, control.AskPromote, nil)
	if b.promoted != slot.B || b.restarted {
		t.Errorf("promoted %s, restarted %t, want it promoted at once", b.promoted, b.restarted)
	}
}

func TestRequestsWaitWhileASlotIsWritten(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	r := b.begin(s, control.AskApply)
	for _, ask := range []string{control.AskApply, control.AskReboot, control.AskPromote} {
		second := request{control.Request{Ask: ask}, make(chan error, 1)}
		s.take(t.Context(), second)
		if err := <-second.answer; err == nil || !strings.Contains(err.Error(), "slot b is being written") {
			t.Errorf("%s meanwhile: %v", ask, err)
		}
	}
	if len(b.events) > 0 {
		t.Errorf("events %q: whoever asks again and again fills them", b.events)
	}
	s.noteWriting("step=root done=1048576 total=20971520")
	if s.turn(); b.status.Busy != "slot b is being written: root, 1 of 20 MB" {
		t.Errorf("busy = %q", b.status.Busy)
	}
	s.finishWriting(<-s.written)
	if err := <-r.answer; err != nil {
		t.Error(err)
	}
}

// A request that never came to pass, and a card that cannot be switched: neither may meet a slot that is
// half written.
func TestBeforeASlotIsWrittenTheCardIsInOrder(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		s := b.started(slot.A)
		b.try = slot.B
		b.ask(s, control.AskApply, nil)
		if b.slots[slot.B] == nil {
			t.Fatalf("%s: nothing was written", kind)
		}
		b = newFakeBoard(t, kind)
		s = b.started(slot.A)
		b.switchErr = errors.New("config.txt: no os_prefix")
		if b.ask(s, control.AskApply, []string{"no os_prefix"}); b.slots[slot.B] != nil || s.busy != "" {
			t.Errorf("%s: slot b holds %+v, busy %q", kind, b.slots[slot.B], s.busy)
		}
	}
}

func TestRefusedUpdateLeavesNoRecordAndNoRestart(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.writeErr = errors.New("part root: hash is wrong")
	s := b.started(slot.A)
	b.ask(s, control.AskApply, []string{"hash is wrong"})
	for range 5 {
		s.turn()
	}
	if b.restarted || b.kept.Record != nil || b.try != slot.None || b.status.Busy != "" {
		t.Errorf("restarted %t, record %+v, try %q, busy %q", b.restarted, b.kept.Record, b.try, b.status.Busy)
	}
	if len(b.events) == 0 || !strings.Contains(b.events[len(b.events)-1], "refused") {
		t.Errorf("events %q, want the refusal", b.events)
	}
}

// camweb, which asks, reads what strangers send.
func TestUnsignedRootIsRefusedUnlessTheOwnerTakesThem(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	b.ask(s, control.AskApplyRoot, []string{"update.gokrazy is not set"})
	if s.job != nil || b.slots[slot.B] != nil || len(b.events) > 0 {
		t.Errorf("slot b holds %+v, events %q", b.slots[slot.B], b.events)
	}
	b.unsigned = true
	b.ask(s, control.AskApplyRoot, nil)
}

func TestARefusedUpdateDoesNotEndTheWaitOfAnother(t *testing.T) {
	for _, early := range []bool{true, false} {
		b := newFakeBoard(t, board.Tryboot)
		waiting := trial.Staged("b", "v1.9", 2, health.Sent, 60)
		waiting.State, waiting.Tries = control.StateNotJudged, 1
		b.kept.Record = &waiting
		b.slots[slot.B] = &manifest{Version: "v1.9", Index: 2, TrialS: 60}
		s := b.started(slot.A)
		b.writeErr, b.early = errors.New("slot is not whole"), early
		b.ask(s, control.AskApply, []string{"not whole"})
		kept := b.kept.Record != nil && *b.kept.Record == waiting && s.step == trial.Wait
		if kept != early {
			t.Errorf("refused early %t: record %+v, step %d", early, b.kept.Record, s.step)
		}
	}
}

func TestBoardOfAnUnknownModelTakesNoUpdateAndSaysSo(t *testing.T) {
	b := newFakeBoard(t, "")
	s := b.started(slot.A)
	b.ask(s, control.AskApply, []string{"not known"})
	b.ask(s, control.AskReboot, nil)
	if s.turn(); !strings.Contains(b.status.Updatable, "not known") {
		t.Errorf("updatable = %q", b.status.Updatable)
	}
}

func TestBoardWhoseBootFirmwareIsTooOldTakesNoUpdateAndCanBePromotedByHand(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.slots[slot.B] = &manifest{Version: "v0"}
	b.kept.Started = map[string]trial.Version{"b": {Version: "v0"}}
	s := b.started(slot.A)
	s.place.flaw = "EEPROM of 2021"
	b.ask(s, control.AskApply, []string{"EEPROM of 2021"})
	if s.turn(); b.status.Updatable != "EEPROM of 2021" {
		t.Errorf("updatable = %q", b.status.Updatable)
	}
	if b.ask(s, control.AskPromote, nil); b.promoted != slot.B {
		t.Errorf("promoted %s", b.promoted)
	}
}
