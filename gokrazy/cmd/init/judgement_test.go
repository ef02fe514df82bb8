package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

func TestGoodUpdateIsPromotedAndStays(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		if got := b.live(time.Hour, control.AskApply); got != control.StateRequested {
			t.Fatalf("%s: after apply: %q", kind, got)
		}
		got := b.live(3 * time.Minute)
		if got != control.StatePromoted || b.promoted != slot.B || b.status.Version != "v2" || b.status.OnTrial {
			t.Errorf("%s: %q, slot %s, status %+v, want v2 promoted", kind, got, b.promoted, b.status)
		}
		if b.try != slot.None || b.settings != slot.B {
			t.Errorf("%s: the card is to try %q, settings of slot %s", kind, b.try, b.settings)
		}
		if tried := b.status.Trial; tried == nil || tried.Index == 0 || tried.Index != b.status.Index {
			t.Errorf("%s: trial %+v, want index %d as it runs", kind, tried, b.status.Index)
		}
		b.live(time.Minute)
		if want := []string{"a", "b", "b"}; !slices.Equal(b.boots, want) || b.kept.Failed != nil {
			t.Errorf("%s: slots %v, want %v", kind, b.boots, want)
		}
	}
}

func TestUpdateThatDoesWorseThanTheOldVersionFails(t *testing.T) {
	for _, kind := range trials() {
		for name, spoil := range map[string]func(*fakeBoard){
			"no grant": func(b *fakeBoard) {
				b.reaches[slot.B] = func(time.Duration) health.Rung { return health.Camera }
			},
			"camsource ended 5 times": func(b *fakeBoard) { b.exits[slot.B] = 20 },
			"camweb ended 5 times":    func(b *fakeBoard) { b.webExits[slot.B] = 20 },
			"camsource hung 2 times":  func(b *fakeBoard) { b.reaches[slot.B] = nil },
		} {
			b := newFakeBoard(t, kind)
			spoil(b)
			b.live(time.Hour, control.AskApply)
			if got := b.live(time.Hour); got != control.StateJudging {
				t.Fatalf("%s, %s: %q after the trial", kind, name, got)
			}
			got := b.live(3 * time.Minute)
			if got != control.StateFailed || b.promoted != slot.A || b.status.Version != "v1" {
				t.Errorf("%s, %s: %q, promoted %s, version %s", kind, name, got, b.promoted, b.status.Version)
			}
			if b.try != slot.None || b.settings != slot.A {
				t.Errorf("%s, %s: the card is to try %q, settings of slot %s", kind, name, b.try, b.settings)
			}
			if f := b.status.Failed; f == nil || f.Version != "v2" || f.Because == "" {
				t.Errorf("%s, %s: failed %+v, want v2 and why", kind, name, f)
			} else if name != "no grant" && !strings.Contains(f.Because, name) {
				t.Errorf("%s: because %q", name, f.Because)
			}
			b.live(7 * time.Hour) // nothing is tried again
			if want := []string{"a", "b", "a", "a"}; !slices.Equal(b.boots, want) {
				t.Errorf("%s, %s: slots %v, want %v", kind, name, b.boots, want)
			}
		}
	}
}

// The gateway goes down in the middle of the trial, for an hour and a half.
func TestUpdateUnderABadSkyIsNotJudgedAndTriedAgain(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		down := func(time.Duration) health.Rung { return health.Camera }
		good := b.reaches[slot.A]
		b.live(time.Hour, control.AskApply)
		b.reaches[slot.A], b.reaches[slot.B] = down, down
		b.live(time.Hour) // the trial
		b.reaches[slot.A] = func(up time.Duration) health.Rung {
			if up < 90*time.Minute {
				return health.Camera
			}
			return health.Validated
		}
		if got := b.live(24 * time.Hour); got != control.StateRequested { // judged, and tried again
			t.Fatalf("%s: %q, want another try", kind, got)
		}
		if b.kept.Failed != nil || !strings.Contains(fmt.Sprint(b.events), "not judged") {
			t.Errorf("%s: failed %+v, events %q", kind, b.kept.Failed, b.events)
		}
		b.reaches[slot.B] = good
		if got := b.live(time.Hour); got != control.StatePromoted {
			t.Errorf("%s: %q, want it promoted at last", kind, got)
		}
	}
}

func TestUpdateThatIsNeverJudgedIsGivenUpAfterThreeTries(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		b.live(time.Hour, control.AskApply)
		down := func(time.Duration) health.Rung { return health.Camera }
		b.reaches[slot.A], b.reaches[slot.B] = down, down
		for range 20 {
			if b.live(7*time.Hour) == control.StateGivenUp { // and rests in it, to the end of the last one
				break
			}
		}
		tries := 0
		for _, n := range b.boots {
			if n == "b" {
				tries++
			}
		}
		if tries != 3 || b.kept.Record.State != control.StateGivenUp || b.promoted != slot.A {
			t.Errorf("%s: %d tries, %q, promoted %s", kind, tries, b.kept.Record.State, b.promoted)
		}
		// By hand all the same.
		b.live(time.Minute, control.AskPromote)
		if b.live(time.Minute); b.promoted != slot.B || b.status.Version != "v2" || b.settings != slot.B {
			t.Errorf("%s: promoted by hand: slot %s with %s and settings of slot %s", kind, b.promoted,
				b.status.Version, b.settings)
		}
	}
}

// A kernel that panics, or hangs until the watchdog, leads back to the old slot. Where nobody knows
// that the power was not cut, it is tried once more, at once.
func TestUpdateThatNeverStartsFails(t *testing.T) {
	for _, kind := range trials() {
		for _, known := range []bool{true, false} {
			b := newFakeBoard(t, kind)
			b.live(time.Hour, control.AskApply)
			b.cause.Restarted = known
			b.running, b.try = b.promoted, slot.None // it was started, and died
			if !known {
				if got := b.live(time.Minute); got != control.StateRequested || b.up > 10*time.Second {
					t.Errorf("%s: %q after %v, want it asked for again at once", kind, got, b.up)
				}
				b.running, b.try = b.promoted, slot.None
			}
			if got := b.live(time.Minute); got != control.StateFailed || b.status.Failed == nil {
				t.Errorf("%s, known %t: %q, failed %+v", kind, known, got, b.status.Failed)
			}
			b.ask(b.started(slot.A), control.AskPromote, []string{"not known to have started"})
		}
	}
}

// The power was cut after the restart into the new version, before its init had noted that it runs.
func TestAPowerCutBeforeTheNewVersionsInitCostsNothing(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.live(time.Hour, control.AskApply)
	b.running, b.try = b.promoted, slot.None
	for range 2 {
		b.live(3 * time.Minute)
	}
	if b.promoted != slot.B || b.kept.Failed != nil {
		t.Errorf("promoted %s, failed %+v", b.promoted, b.kept.Failed)
	}
}

// A board that cannot keep what it tries must not try it for ever.
func TestBoardThatCannotSaveComesToRest(t *testing.T) {
	for name, start := range map[string]func(*fakeBoard){
		"a staged update": func(b *fakeBoard) {
			r := trial.Staged("b", "v2", 2, health.Validated, 60)
			b.kept.Record, b.slots[slot.B] = &r, &manifest{Version: "v2", Index: 2}
		},
		"one that waits": func(b *fakeBoard) {
			r := trial.Staged("b", "v2", 2, health.Validated, 60)
			r.State, r.Tries = control.StateNotJudged, 1
			b.kept.Record, b.slots[slot.B] = &r, &manifest{Version: "v2", Index: 2}
		},
		"a slot that nobody asked for": func(b *fakeBoard) {
			b.slots[slot.B] = &manifest{Version: "v0"}
			b.running = slot.B
		},
	} {
		for _, kind := range trials() {
			b := newFakeBoard(t, kind)
			start(b)
			b.saveErr = errors.New("no space left on device")
			stuck, restarts := b.running, 0
			for range 20 {
				b.running = stuck
				b.live(50 * time.Minute)
				if b.restarted {
					restarts++
				}
			}
			if restarts > 0 {
				t.Errorf("%s, %s: %d restarts of 20 starts", kind, name, restarts)
			}
		}
	}
}

// With /perm in memory, the next start knows nothing of this one.
func TestBoardWithPermInMemoryLeavesASlotAfterAnHour(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.inMemory = true
	b.slots[slot.B] = &manifest{Version: "v0"}
	for range 3 {
		b.running, b.kept = slot.B, trial.Kept{}
		b.live(2 * time.Hour)
		if !b.restarted || b.up < time.Hour || b.status.Rung != string(health.Validated) {
			t.Errorf("restarted %t after %v with rung %s, want the way back after an hour of streaming",
				b.restarted, b.up, b.status.Rung)
		}
	}
	b.ask(b.started(slot.A), control.AskApply, []string{"/perm does not last"})
}

func TestPowerCutBetweenWritingAndRestartCostsNothing(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		s := b.started(slot.A)
		s.turn()
		b.ask(s, control.AskApply, nil)
		if b.kept.Record.State != control.StateStaged {
			t.Fatalf("%s: %q before the restart", kind, b.kept.Record.State)
		}
		b.start() // the power comes back; U-Boot knows of the request, a Pi 4 does not
		for range 2 {
			b.live(3 * time.Minute)
		}
		if b.promoted != slot.B || b.kept.Record.Tries != 1 {
			t.Errorf("%s: promoted %s after %d tries, boots %v", kind, b.promoted, b.kept.Record.Tries, b.boots)
		}
	}
}

func TestSlotOnTrialWithoutARecordGoesBackAndStaysThere(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		b.live(time.Hour, control.AskApply)
		b.kept = trial.Kept{} // /perm is lost
		for range 4 {
			b.live(time.Hour)
		}
		if want := []string{"a", "b", "a", "a", "a"}; !slices.Equal(b.boots, want) || b.promoted != slot.A {
			t.Errorf("%s: slots %v, want %v", kind, b.boots, want)
		}
	}
}

// What failed is what a fleet counts as fallen back: a version that stays is none of those.
func TestAVersionThatStaysHasNotFailed(t *testing.T) {
	for _, kind := range trials() {
		b := newFakeBoard(t, kind)
		good := b.reaches[slot.B]
		b.reaches[slot.B] = nil
		b.live(time.Hour, control.AskApply)
		b.live(time.Hour) // the trial
		b.live(5 * time.Minute)
		if b.status.Failed == nil || b.promoted != slot.A {
			t.Fatalf("%s: status %+v, want v2 failed", kind, b.status)
		}
		failed := b.kept
		b.live(time.Minute, control.AskPromote) // by hand
		b.live(time.Minute)
		if b.status.Version != "v2" || b.status.Failed != nil || b.kept.Failed != nil {
			t.Errorf("%s: promoted by hand: version %s, failed %+v", kind, b.status.Version, b.status.Failed)
		}
		b.kept, b.promoted, b.running, b.reaches[slot.B] = failed, slot.A, slot.A, good // sent again, and good
		b.live(time.Minute, control.AskApply)
		if b.live(5 * time.Minute); b.status.Version != "v2" || b.status.OnTrial || b.kept.Failed != nil {
			t.Errorf("%s: promoted: status %+v", kind, b.status)
		}
	}
}

// U-Boot takes the other slot where the promoted one cannot be loaded. Nobody may be able to ask for
// anything there, so the board itself makes that the promoted one, and takes updates again.
func TestBoardWhosePromotedSlotDoesNotStartPromotesTheOther(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.slots[slot.B] = &manifest{Version: "v0"}
	for range 4 {
		b.running = slot.B
		b.live(time.Minute)
	}
	if restarts := strings.Count(fmt.Sprint(b.events), "nobody asked"); restarts != 1 || b.restarted {
		t.Errorf("%d restarts, the last run restarted: %t; events %q", restarts, b.restarted, b.events)
	}
	if b.promoted != slot.B || b.kept.WentBack {
		t.Errorf("promoted %s, kept %+v", b.promoted, b.kept)
	}
	b.ask(b.started(slot.B), control.AskApply, nil)
}

func TestASlotThatCouldNotBePromotedIsNotSaidToHaveFailed(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.slots[slot.B] = &manifest{Version: "v0"}
	b.kept.WentBack, b.cardErr = true, errors.New("input/output error")
	s := b.started(slot.B)
	s.turn()
	got := b.status.Updatable
	if !strings.Contains(got, "could not be promoted") || strings.Contains(got, "failed here") {
		t.Errorf("updatable = %q", got)
	}
	b.cardErr = nil
	if b.live(time.Minute); b.promoted != slot.B {
		t.Errorf("slot %s is promoted at the next start", b.promoted)
	}
}

// One that failed here is kept running and no more, so that the other slot can still come back.
func TestAVersionThatFailedIsNotPromotedBecauseTheOtherDoesNotStart(t *testing.T) {
	for name, keep := range map[string]func(*fakeBoard){
		"failed": func(b *fakeBoard) { b.kept.Failed = &control.Failed{Version: "v2", Index: 2} },
		"given up": func(b *fakeBoard) {
			r := trial.Staged("b", "v2", 2, health.Validated, 60)
			r.State, r.Tries = control.StateGivenUp, 3
			b.kept.Record = &r
		},
	} {
		b := newFakeBoard(t, board.UBootTry)
		b.slots[slot.B] = &manifest{Version: "v2", Index: 2}
		keep(b)
		for range 3 {
			b.running = slot.B
			b.live(24 * time.Hour)
		}
		if b.promoted != slot.A || b.restarted {
			t.Errorf("%s: promoted %s, restarted %t", name, b.promoted, b.restarted)
		}
		s := b.started(slot.B)
		b.ask(s, control.AskApply, []string{"does not start"})
		if s.turn(); !strings.Contains(b.status.Updatable, "does not start") {
			t.Errorf("%s: updatable = %q", name, b.status.Updatable)
		}
		b.ask(s, control.AskPromote, nil) // somebody wants to keep it
		if b.promoted != slot.B {
			t.Errorf("%s: promoted %s by hand", name, b.promoted)
		}
		if b.live(time.Minute); b.kept.WentBack || b.restarted {
			t.Errorf("%s: afterwards: %+v, restarted %t", name, b.kept, b.restarted)
		}
	}
}

func TestUpdateThatCannotBeAskedForFailsAndTheBoardLivesOn(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	b.ask(s, control.AskApply, nil)
	b.cardErr = errors.New("input/output error")
	for range 5 {
		b.up += time.Second
		s.turn()
	}
	if b.restarted || b.status.Busy != "" || b.status.Failed == nil || len(b.events) > 3 {
		t.Errorf("restarted %t, status %+v, events %q", b.restarted, b.status, b.events)
	}
}

// A slot may have been written anew under a record that says otherwise.
func TestAVersionThatTheRecordDoesNotNameIsNotTried(t *testing.T) {
	for _, other := range []*manifest{nil, {Version: "v3", Index: 2}, {Version: "v2", Index: 3}} {
		b := newFakeBoard(t, board.UBootTry)
		r := trial.Staged("b", "v2", 2, health.Validated, 60)
		b.kept.Record = &r
		if other != nil {
			b.slots[slot.B] = other
		}
		if b.live(time.Minute); b.restarted || b.try != slot.None || b.kept.Record.State != control.StateFailed {
			t.Errorf("slot b holds %+v: restarted %t, record %+v", other, b.restarted, b.kept.Record)
		}
	}
}

func TestPromotionThatTheCardRefusesEndsTheTrial(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.live(time.Hour, control.AskApply)
	b.cardErr = errors.New("input/output error")
	if got := b.live(time.Hour); got != control.StateJudging || b.promoted != slot.A {
		t.Errorf("%q, promoted %s, want the way back", got, b.promoted)
	}
}
