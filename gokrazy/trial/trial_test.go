package trial

import (
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// record is an update into slot b after tries of it.
func record(state string, tries int) Record {
	r := Staged("b", "v2", 2, health.Validated, 60)
	r.State, r.Tries, r.Reason, r.Rung = state, tries, "a reason", health.Sent // of the try before
	return r
}

func TestAStartGoesOnWhereTheRunBeforeEnded(t *testing.T) {
	old, trying := Boot{Running: "a", Promoted: "a"}, Boot{Running: "b", Promoted: "a"}
	cut, died, restarted, untried := old, old, old, old
	cut.PowerCut, died.Died, restarted.Restarted = true, "kernel panic", true
	untried.Untried = "an old EEPROM"
	unexplained, unseen := record(control.StateOnTrial, 2), record(control.StateRequested, 2)
	unexplained.Unexplained, unseen.Unexplained = 1, 1
	for _, c := range []struct {
		name      string
		r         Record
		b         Boot
		wantState string
		want      Step
	}{
		{"nothing was updated", Record{}, old, "", Nothing},
		{"written, and the power was cut before the restart", record(control.StateStaged, 0), old,
			control.StateStaged, Try},
		{"asked for, and the power was cut", record(control.StateRequested, 1), cut, control.StateStaged, Try},
		{"asked for, and it never came up", record(control.StateRequested, 1), restarted, control.StateFailed, Nothing},
		{"asked for, and nobody knows what happened", record(control.StateRequested, 1), old,
			control.StateStaged, Try},
		{"asked for, and nobody knows what happened, again", unseen, old, control.StateFailed, Nothing},
		{"asked for, and its kernel panicked", record(control.StateRequested, 1), died, control.StateFailed, Nothing},
		{"asked for, and the boot firmware knows no trials", record(control.StateRequested, 1), untried,
			control.StateFailed, Nothing},
		{"asked for three times, and the power was cut", record(control.StateRequested, 3), cut,
			control.StateGivenUp, Nothing},
		{"asked for, and it runs", record(control.StateRequested, 1), trying, control.StateOnTrial, Prove},
		{"the card knew of the request, and the record did not", record(control.StateStaged, 0), trying,
			control.StateOnTrial, Prove},
		{"so it was on the last try, which had been counted", record(control.StateStaged, 3), trying,
			control.StateOnTrial, Prove},
		{"it runs without a request", record(control.StateFailed, 1), trying, control.StateFailed, GoBack},
		{"it runs, and /perm is lost", Record{}, trying, "", GoBack},
		{"the record is of the other slot", record(control.StateRequested, 1),
			Boot{Running: "a", Promoted: "b"}, control.StateRequested, GoBack},
		{"the power was cut while it was on trial", record(control.StateOnTrial, 1), cut, control.StateStaged, Try},
		{"it panicked while it was on trial", record(control.StateOnTrial, 1), died, control.StateFailed, Nothing},
		{"it ended without a word", record(control.StateOnTrial, 1), old, control.StateNotJudged, Wait},
		{"it ended without a word, and ran although that cannot be", record(control.StateOnTrial, 1), untried,
			control.StateNotJudged, Wait},
		{"it ended without a word again", unexplained, old, control.StateFailed, Nothing},
		{"it ended without a word on its last try", record(control.StateOnTrial, 3), old,
			control.StateGivenUp, Nothing},
		{"it went back", record(control.StateJudging, 1), old, control.StateJudging, Judge},
		{"it was not judged", record(control.StateNotJudged, 1), old, control.StateNotJudged, Wait},
		{"it was given up", record(control.StateGivenUp, 3), old, control.StateGivenUp, Nothing},
		{"it failed", record(control.StateFailed, 1), old, control.StateFailed, Nothing},
		{"it was promoted", record(control.StatePromoted, 1), Boot{Running: "b", Promoted: "b"},
			control.StatePromoted, Nothing},
		{"promoted, and the power was cut before that was noted", record(control.StateOnTrial, 1),
			Boot{Running: "b", Promoted: "b"}, control.StatePromoted, Nothing},
	} {
		got, step := c.r.AtBoot(c.b)
		if got.State != c.wantState || step != c.want {
			t.Errorf("%s: state %q, step %d, want %q, %d", c.name, got.State, step, c.wantState, c.want)
		}
		if got.State == control.StateOnTrial && (got.Reason != "" || got.Rung != health.None) {
			t.Errorf("%s: rung %q because %q, which is of the try before", c.name, got.Rung, got.Reason)
		}
		if c.wantState == control.StateFailed && c.r.State != control.StateFailed &&
			!strings.Contains(got.Reason, c.b.Died+c.b.Untried) {
			t.Errorf("%s: because %q, want %q in it", c.name, got.Reason, c.b.Died+c.b.Untried)
		}
	}
}

// A board that starts again and again, whatever the cause, must come to rest: no record leads to
// more than three tries.
func TestNoSeriesOfStartsTriesMoreThanThreeTimes(t *testing.T) {
	boots := []Boot{
		{Running: "a", Promoted: "a"}, {Running: "b", Promoted: "a"},
		{Running: "a", Promoted: "a", PowerCut: true}, {Running: "a", Promoted: "a", Died: "watchdog"},
	}
	// Every series of 8 starts. In every second one nothing can be saved but the count of a try.
	for series := range 1 << 17 {
		r, tries := record(control.StateStaged, 0), 0
		for n := range 8 {
			var step Step
			r, step = r.AtBoot(boots[series>>(2*n)&3])
			switch step {
			case Try:
				tries++
				if r = r.Counted(); series>>16 == 0 {
					r = r.Requested()
				}
			case Prove:
				r = r.WentBack("why not", health.None)
			case Judge:
				r = r.Judged(false)
			case Wait: // until the pause is over
				if r.State == control.StateNotJudged {
					tries++
					r = r.Counted().Requested()
				}
			}
			if tries > maxTries || r.Tries < tries {
				t.Fatalf("series %x: %d tries: %+v", series, tries, r)
			}
		}
	}
}

func TestOldVersionDecidesWhetherTheNewOneFailed(t *testing.T) {
	back := record(control.StateOnTrial, 1).WentBack("no grant", health.Camera)
	if back.State != control.StateJudging || back.Rung != health.Camera {
		t.Errorf("after the way back: %+v", back)
	}
	if r := back.Judged(true); r.State != control.StateFailed || r.Reason != "no grant" {
		t.Errorf("the old one does better: %+v, want a failure for the reason of the try", r)
	}
	if r := back.Judged(false); r.State != control.StateNotJudged || r.Reason != "no grant" {
		t.Errorf("the old one does no better: %+v, want not judged", r)
	}
	back.Tries = maxTries
	if r := back.Judged(false); r.State != control.StateGivenUp {
		t.Errorf("not judged for the third time: %+v, want given up", r)
	}
}
