package trial

import (
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// A span is what is seen from one moment to the next span's.
type span struct {
	from  time.Duration
	rung  health.Rung
	dead  bool
	exits int
	hangs int
}

// seen is a span of a camsource that lives.
func seen(from time.Duration, rung health.Rung) span { return span{from: from, rung: rung} }

// observe runs a function over the spans, second by second, until it says stop or end comes.
func observe(spans []span, end time.Duration, see func(Observation) (stop bool)) time.Duration {
	for up := time.Duration(0); up <= end; up += time.Second {
		var o Observation
		for _, s := range spans {
			if up >= s.from {
				o = Observation{Alive: !s.dead, Rung: s.rung, Exits: s.exits, Exited: "camsource", Hangs: s.hangs,
					Words: "words"}
			}
		}
		o.Up = up
		if see(o) {
			return up
		}
	}
	return -1
}

func TestVersionHasToHoldTheRungThatWasHeldBefore(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, c := range []struct {
		name   string
		spans  []span
		want   Verdict
		after  time.Duration
		reason string
	}{
		{"it streams as before", []span{{0, health.None, true, 0, 0}, seen(8*s, health.Validated)}, Held, 68 * s, ""},
		{"it does better", []span{seen(10*s, health.Reported)}, Held, 70 * s, ""},
		{"it stumbles once", []span{seen(10*s, health.Validated), seen(50*s, health.None),
			seen(55*s, health.Validated)}, Held, 115 * s, ""},
		{"camsource never reports", []span{{0, health.None, true, 0, 0}}, Missed, 4 * m, "camsource reports nothing"},
		{"no grant", []span{seen(5*s, health.Camera)}, Missed, 4 * m,
			`the stream came to the rung "camera" in 4m0s, before the update it had "validated": words`},
		{"it comes late, in time", []span{seen(3*m+59*s, health.Validated)}, Held, 4*m + 59*s, ""},
		{"it comes too late", []span{seen(0, health.None), seen(4*m+s, health.Validated)},
			Missed, 4 * m, `the rung "none"`},
		{"it crashes in a loop", []span{seen(10*s, health.Validated), {15 * s, health.Validated, false, maxExits, 0}},
			Missed, 15 * s, "camsource ended 5 times"},
		{"it ends a few times", []span{{10 * s, health.Validated, false, maxExits - 1, 0}}, Held, 70 * s, ""},
		{"it hangs again and again",
			[]span{{36 * s, health.None, true, 0, 1}, {68 * s, health.None, true, 1, maxHangs}},
			Missed, 68 * s, "camsource hung 2 times and was killed"},
		{"it hangs once", []span{{36 * s, health.None, true, 0, 1}, {45 * s, health.Validated, false, 1, 1}},
			Held, 105 * s, ""},
		{"it holds, and its report gets old",
			[]span{seen(10*s, health.Validated), {30 * s, health.Validated, true, 0, 0}},
			Missed, 4 * m, "camsource reports nothing"},
	} {
		w := NewWatch(record(control.StateOnTrial, 1))
		var got Verdict
		after := observe(c.spans, time.Hour, func(o Observation) bool {
			got = w.Observe(o)
			return got != Undecided
		})
		if got != c.want || after != c.after {
			t.Errorf("%s: verdict %d after %v, want %d after %v", c.name, got, after, c.want, c.after)
		}
		if got == Missed && !strings.Contains(w.Explain(), c.reason) {
			t.Errorf("%s: because %q, want %q", c.name, w.Explain(), c.reason)
		}
	}
}

// A rung that comes and goes must not keep a version on trial for ever.
func TestRungThatComesAndGoesEndsTheTrial(t *testing.T) {
	var spans []span
	for at := 10 * time.Second; at < time.Hour; at += 20 * time.Second {
		spans = append(spans, seen(at, health.Validated), seen(at+15*time.Second, health.Sent))
	}
	w := NewWatch(record(control.StateOnTrial, 1))
	var got Verdict
	after := observe(spans, time.Hour, func(o Observation) bool { got = w.Observe(o); return got != Undecided })
	if got != Missed || after > startAllowance+2*time.Minute {
		t.Errorf("verdict %d after %v, want %d within %v", got, after, Missed, startAllowance+2*time.Minute)
	}
	if w.Best() != health.Validated {
		t.Errorf("best rung %q, want the one that came and went", w.Best())
	}
}

// A loop that was held up, by a card for instance, has not seen what was between.
func TestWhatNobodySawIsNotHeld(t *testing.T) {
	o := Observation{Alive: true, Rung: health.Validated}
	w, p := NewWatch(record(control.StateOnTrial, 1)), NewPause(record(control.StateNotJudged, 1))
	var m Memory
	for _, up := range []time.Duration{10 * time.Minute, 11*time.Minute + time.Second} {
		o.Up = up
		m.Note(o)
		if got := w.Observe(o); got == Held {
			t.Errorf("two looks 61 s apart: verdict %d after %v", got, up)
		}
		if p.IsOver(o) {
			t.Errorf("two looks 61 s apart: the pause is over after %v", up)
		}
	}
	if got := m.Before(o.Up, health.None); got != health.None {
		t.Errorf("two looks 61 s apart: %s counts as held", got)
	}
}

// A board that nobody configured streams nothing before and after.
func TestBoardWithoutAStreamStillNeedsALivingCamsource(t *testing.T) {
	r := record(control.StateOnTrial, 1)
	r.RungBefore = health.None
	for _, dead := range []bool{false, true} {
		w := NewWatch(r)
		var got Verdict
		observe([]span{{0, health.None, dead, 0, 0}}, time.Hour, func(o Observation) bool {
			got = w.Observe(o)
			return got != Undecided
		})
		if (got == Missed) != dead {
			t.Errorf("camsource is dead: %t, verdict %d", dead, got)
		}
	}
}

func TestVersionIsTriedAgainWhenTheOldOneWorks(t *testing.T) {
	for _, c := range []struct {
		name  string
		tries int
		spans []span
		after time.Duration
	}{
		{"it works at once", 1, []span{seen(10*time.Second, health.Validated)}, 10 * time.Minute},
		{"the second time", 2, []span{seen(10*time.Second, health.Validated)}, time.Hour},
		{"after two hours", 1, []span{seen(2*time.Hour, health.Validated)}, 2*time.Hour + time.Minute},
		{"never", 1, []span{seen(0, health.Camera)}, longestWait},
		{"it worked, and does not when the pause is over", 1, []span{seen(10*time.Second, health.Validated),
			seen(5*time.Minute, health.Camera)}, longestWait},
	} {
		p := NewPause(record(control.StateNotJudged, c.tries))
		if got := observe(c.spans, 24*time.Hour, p.IsOver); got != c.after {
			t.Errorf("%s: tried again after %v, want %v", c.name, got, c.after)
		}
	}
	short := record(control.StateNotJudged, 1)
	short.NeedS = 5
	works := []span{seen(10*time.Second, health.Validated)}
	if got := observe(works, time.Hour, NewPause(short).IsOver); got != 50*time.Second {
		t.Errorf("a trial of 5 s is repeated after %v, want 50s", got)
	}
}

func TestRungBeforeAnUpdateIsTheBestOfTheLastQuarterOfAnHour(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		name  string
		spans []span
		at    time.Duration
		want  health.Rung
	}{
		{"it streams", []span{seen(0, health.Validated)}, m, health.Validated},
		{"it has just begun to", []span{seen(m, health.Validated)}, m, health.Validated},
		{"the gateway is out for a while", []span{seen(0, health.Validated), seen(m, health.Camera)},
			10 * m, health.Validated},
		{"the gateway has been out for long", []span{seen(0, health.Validated), seen(m, health.Camera)},
			20 * m, health.Camera},
		{"it streamed for a moment only", []span{seen(0, health.Camera), seen(m, health.Validated),
			seen(m+10*time.Second, health.Camera)}, 2 * m, health.Camera},
	} {
		var memory Memory
		var now health.Rung
		observe(c.spans, c.at, func(o Observation) bool {
			memory.Note(o)
			now = o.Rung
			return false
		})
		if got := memory.Before(c.at, now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
