package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// A fakeBoard is a card with two slots, a clock, a camsource, and what outlives a restart.
type fakeBoard struct {
	t        *testing.T
	kind     board.Trial
	promoted slot.Name
	try      slot.Name // the card's note
	kept     trial.Kept
	events   []string
	boots    []string

	// The sky and the versions: what camsource reaches in each slot after up; nil: nothing starts.
	reaches map[slot.Name]func(up time.Duration) health.Rung
	exits   map[slot.Name]int // camsource's, one every 2 s
	cardErr error

	mu    sync.Mutex // slotwriter has a goroutine of its own
	slots manifests

	running   slot.Name
	up        time.Duration
	argument  string
	restarted bool
	status    control.Status
	killed    int
	writeErr  error
	early     bool // writeErr comes before anything is written
	unsigned  bool // the owner takes unsigned roots
	saveErr   error
	inMemory  bool            // /perm does not last
	cause     trial.Boot      // what is known of why the board starts
	stopped   map[string]bool // services that gokrazy does not start again
}

func newFakeBoard(t *testing.T, kind board.Trial) *fakeBoard {
	always := func(r health.Rung) func(time.Duration) health.Rung {
		return func(up time.Duration) health.Rung {
			if up < 8*time.Second {
				return health.None
			}
			return r
		}
	}
	return &fakeBoard{
		t: t, kind: kind, promoted: slot.A, running: slot.A,
		slots: manifests{slot.A: {Version: "v1", Index: 1, TrialS: 60}},
		reaches: map[slot.Name]func(time.Duration) health.Rung{
			slot.A: always(health.Validated), slot.B: always(health.Validated),
		},
		exits: map[slot.Name]int{}, stopped: map[string]bool{},
	}
}

// Of cardSwitch.
func (b *fakeBoard) CheckSwitch() error { return b.cardErr }
func (b *fakeBoard) ClearTrial() error  { b.try = slot.None; return b.cardErr }
func (b *fakeBoard) Heal(board.Trial, slot.Name) (slot.Name, error) {
	if b.running != b.promoted {
		b.t.Error("the card is healed while a slot is on trial")
	}
	return b.promoted, nil
}

func (b *fakeBoard) Promote(n slot.Name) error {
	if b.cardErr == nil {
		b.promoted = n
	}
	return b.cardErr
}

func (b *fakeBoard) RequestTrial(n slot.Name) error {
	if n == b.promoted {
		b.t.Error("the promoted slot is to be tried")
	}
	b.try = n
	return b.cardErr
}

// Of eventLog.
func (b *fakeBoard) Add(_, text string) error {
	b.events = append(b.events, text)
	return nil
}

// Of owners.
func (b *fakeBoard) Promoted()            {}
func (b *fakeBoard) HandOver() error      { return nil }
func (b *fakeBoard) LeftBehind() []string { return []string{"stream.new"} }

// supervisor gives a fresh one, as after a start.
func (b *fakeBoard) supervisor() *supervisor {
	b.restarted, b.up = false, 5*time.Second
	p := place{board: "rpi", model: "test", trial: b.kind, disk: "disk", running: b.running, promoted: b.promoted}
	return &supervisor{
		log: slog.New(slog.NewTextHandler(b.t.Output(), nil)), events: b, owner: b, duties: newProgress(), place: p,
		written: make(chan slotWritten, 1), requests: make(chan request),
		lasts: !b.inMemory, paths: []string{sourcePath, webPath, "/gokrazy/ntp"}, again: map[string]bool{},
		world: world{
			now:   func() time.Duration { return b.up },
			clock: func() time.Time { return time.Unix(1767225600, 0) },
			look: func(path string) (process, error) {
				if path != sourcePath {
					return process{Pid: 99, StartTime: time.Unix(1, 0), Stopped: b.stopped[path]}, nil
				}
				n := min(int(b.up/(2*time.Second)), b.exits[b.running])
				return process{Pid: 100 + n, StartTime: time.Unix(int64(n), 0), Stopped: b.stopped[path]}, nil
			},
			start: func(path string) error { delete(b.stopped, path); return nil },
			health: func() (health.Report, error) {
				reach := b.reaches[b.running]
				if reach == nil {
					return health.Report{}, errors.New("no report")
				}
				return health.Report{
					Rung: reach(b.up), UptimeS: b.up.Seconds(), Pictures: uint64(b.up), Camera: "cam", Gateway: "words",
				}, nil
			},
			kill:     func(int) error { b.killed++; return nil },
			withCard: func(use func(cardSwitch) error) error { return use(b) },
			manifests: func() (manifests, error) {
				b.mu.Lock()
				defer b.mu.Unlock()
				return maps.Clone(b.slots), nil
			},
			publish: func(manifests, slot.Name) error { return nil },
			save: func(k trial.Kept) error {
				if b.saveErr != nil {
					return b.saveErr
				}
				k.Started = maps.Clone(k.Started)
				if k.Record != nil {
					copied := *k.Record
					k.Record = &copied
				}
				b.kept = k
				return nil
			},
			writeStatus: func(s control.Status) error { b.status = s; return nil },
			unsigned:    func() bool { return b.unsigned },
			writeSlot: func(_ context.Context, job writerJob) error {
				if b.kept.Record != nil {
					b.t.Error("a record may lead into a slot that is half written")
				}
				if b.early {
					return b.writeErr
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				b.slots[job.place.running.Other()] = &manifest{Version: "v2", Index: 2, TrialS: 60}
				return b.writeErr
			},
			restart: func(before func(), argument string) {
				if before != nil {
					before()
				}
				b.restarted, b.argument = true, argument
			},
		},
	}
}

// beginAs goes on with what the board kept, as its next start does.
func (s *supervisor) beginAs(b *fakeBoard) {
	boot := b.cause
	boot.Running, boot.Promoted = string(b.running), string(b.promoted)
	kept := b.kept
	kept.Started = maps.Clone(kept.Started)
	s.begin(kept, boot)
}

// started gives a fresh supervisor that has begun, of a board that runs slot n.
func (b *fakeBoard) started(n slot.Name) *supervisor {
	b.running = n
	s := b.supervisor()
	s.readManifests()
	s.beginAs(b)
	return s
}

// live starts the board and lets it live for at most that long, or until it restarts; then its boot
// firmware chooses the next slot. It returns the last state of the record.
func (b *fakeBoard) live(limit time.Duration, ask ...string) string {
	b.t.Helper()
	b.boots = append(b.boots, string(b.running))
	s := b.started(b.running)
	for end := b.up + limit; b.up < end && !b.restarted; b.up += time.Second {
		s.turn()
		if len(ask) > 0 && b.up >= 40*time.Second {
			b.ask(s, ask[0], nil)
			ask = ask[1:]
		}
		select {
		case w := <-s.written:
			s.finishWriting(w)
		default:
		}
	}
	b.start()
	if b.kept.Record == nil {
		return ""
	}
	return b.kept.Record.State
}

// start is the boot firmware: U-Boot clears the request first, a Pi's firmware wants the argument.
func (b *fakeBoard) start() {
	b.running = b.promoted
	if b.kind == board.UBootTry && b.try != slot.None || b.kind == board.Tryboot && b.argument == trybootArgument {
		b.running = b.promoted.Other()
	}
	if b.kind == board.UBootTry {
		b.try = slot.None
	}
	b.argument = ""
}

// ask makes a request and waits for slotwriter; want is part of the refusal.
func (b *fakeBoard) ask(s *supervisor, what string, want []string) {
	b.t.Helper()
	r := request{control.Request{Ask: what}, make(chan error, 1)}
	s.take(b.t.Context(), r)
	if s.job != nil {
		s.finishWriting(<-s.written)
	}
	err := <-r.answer
	if (err != nil) != (want != nil) || err != nil && !strings.Contains(err.Error(), want[0]) {
		b.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func trials() []board.Trial { return []board.Trial{board.Tryboot, board.UBootTry} }

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
			"reports nothing":         func(b *fakeBoard) { b.reaches[slot.B] = nil },
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
		if b.live(time.Minute); b.promoted != slot.B || b.status.Version != "v2" {
			t.Errorf("%s: promoted by hand: slot %s with %s", kind, b.promoted, b.status.Version)
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

func TestUpdateIsRefusedIfItsTrialCannotBeKept(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	s := b.started(slot.A)
	r := request{control.Request{Ask: control.AskApply}, make(chan error, 1)}
	s.take(t.Context(), r)
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
		b.ask(s, control.AskPromote, nil) // somebody wants to keep it
		if b.promoted != slot.B {
			t.Errorf("%s: promoted %s by hand", name, b.promoted)
		}
		if b.live(time.Minute); b.kept.WentBack || b.restarted {
			t.Errorf("%s: afterwards: %+v, restarted %t", name, b.kept, b.restarted)
		}
	}
}

// gokrazy takes status 0 and 125 for the wish to end.
func TestServiceThatEndsAsIfDoneIsStartedAgain(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	for _, path := range []string{sourcePath, webPath, "/gokrazy/ntp"} {
		b.stopped[path] = true
		if s.turn(); b.stopped[path] {
			t.Errorf("%s stays ended", path)
		}
	}
	s.duties.beginShutdown(b.up)
	b.stopped[sourcePath] = true
	if s.turn(); !b.stopped[sourcePath] {
		t.Error("a service is started again during a shutdown")
	}
}

func TestWhileASlotIsOnTrialNothingIsWritten(t *testing.T) {
	b := newFakeBoard(t, board.UBootTry)
	b.live(time.Hour, control.AskApply)
	s := b.started(slot.B)
	b.ask(s, control.AskApply, []string{"slot b is on trial"})
	b.ask(s, control.AskApplyRoot, []string{"slot b is on trial"})
	b.ask(s, control.AskReboot, []string{"slot b is on trial"})
	b.ask(s, control.AskPromote, nil)
	if b.promoted != slot.B || b.restarted {
		t.Errorf("promoted %s, restarted %t, want it promoted at once", b.promoted, b.restarted)
	}
}

func TestRequestsWaitWhileASlotIsWritten(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	r := request{control.Request{Ask: control.AskApply}, make(chan error, 1)}
	s.take(t.Context(), r)
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

func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	writes, last := 0, control.Status{}
	for b.up = 10 * time.Second; b.up < time.Minute; b.up += time.Second {
		s.turn()
		if !reflect.DeepEqual(b.status, last) {
			writes, last = writes+1, b.status
		}
	}
	if writes != 1 || last.Rung != string(health.Validated) || last.Version != "v1" {
		t.Errorf("%d writes, the last %+v", writes, last)
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
