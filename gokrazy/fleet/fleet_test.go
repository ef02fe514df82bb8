package fleet

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/fleet/fleettest"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A testFleet is some boards and how they are found.
type testFleet struct {
	bundle *update.Bundle
	boards []*fleettest.Board
	hosts  []string
	by     map[string]*fleettest.Board
}

// newFleet makes n boards, of which those with the numbers in bad do not bear the new version.
func newFleet(t *testing.T, n int, bad ...int) *testFleet {
	t.Helper()
	file, key := fleettest.Bundle(t, "v2", 200, 28_000)
	b, err := update.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	f := &testFleet{bundle: b, by: map[string]*fleettest.Board{}}
	for i := range n {
		board := fleettest.NewBoard(t, i, key)
		for _, one := range bad {
			board.Bad = board.Bad || one == i
		}
		f.boards, f.hosts, f.by[board.Host()] = append(f.boards, board), append(f.hosts, board.Host()), board
	}
	return f
}

func (f *testFleet) connect(_ context.Context, host string) (Board, error) {
	return &f.by[host].Client, nil
}

func (f *testFleet) config(state string) Config {
	return Config{Hosts: f.hosts, Bundle: f.bundle, Connect: f.connect, AtOnce: 4, State: state}
}

func TestTwentyBoardsGetTheUpdateSomeAtATime(t *testing.T) {
	f := newFleet(t, 20, 3, 11, 17)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	var steps []Step // of board 3
	at, most := map[string]bool{}, 0
	c.Report = func(row Row, _ remote.Progress) {
		if at[row.Host] = !row.Step.IsEnd(); !at[row.Host] {
			delete(at, row.Host)
		}
		most = max(most, len(at))
		if row.Host == f.hosts[3] && (len(steps) == 0 || steps[len(steps)-1] != row.Step) {
			steps = append(steps, row.Step)
		}
	}
	s, err := Run(t.Context(), c)
	want := Summary{Update: Update{"v2", "rpi", 200}, Boards: 20, Ends: map[Step]int{Promoted: 17, FellBack: 3}}
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if most > 4 {
		t.Errorf("%d boards at a time, want 4 at most", most)
	}
	if diff := cmp.Diff([]Step{Begun, Taken, FellBack}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	for _, b := range f.boards {
		if b.Trials() != 1 {
			t.Errorf("board %s tried it %d times", b.Host(), b.Trials())
		}
	}
	// A second call finds everything done.
	c.Connect = func(context.Context, string) (Board, error) { return nil, errors.New("asked again") }
	if again, err := Run(t.Context(), c); err != nil || !cmp.Equal(again, s) {
		t.Errorf("the second call: %+v, %v", again, err)
	}
}

func TestNoBoardIsBegunAfterSomeFellBack(t *testing.T) {
	f := newFleet(t, 20, 0, 1, 2)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	c.StopAfter = 3
	s, err := Run(t.Context(), c)
	if err != nil || !s.Stopped || s.Ends[FellBack] != 3 || s.Left() < 10 || s.IsGood() {
		t.Errorf("%+v, %v", s, err)
	}
	tried := 0
	for _, b := range f.boards {
		tried += b.Trials()
	}
	// At most three beside each of the bad ones, and whoever took the place of a good one.
	if want := 20 - s.Left(); tried != want {
		t.Errorf("%d boards tried it, %d have an end", tried, want)
	}
	if again, err := Run(t.Context(), c); err != nil || !cmp.Equal(again, s) {
		t.Errorf("the second call went on: %+v, %v", again, err)
	}
	c.StopAfter = 0 // the owner has looked at them
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Promoted] != 17 || s.Left() != 0 {
		t.Errorf("without the limit: %+v, %v", s, err)
	}
	for _, b := range f.boards {
		if b.Trials() != 1 {
			t.Errorf("board %s tried it %d times", b.Host(), b.Trials())
		}
	}
}

// Ctrl-C, again and again, wherever the boards are: nobody gets it twice.
func TestInterruptedRunIsContinued(t *testing.T) {
	f := newFleet(t, 20, 3, 11, 17)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	runs := 0
	for {
		runs++
		ctx, cancel := context.WithCancel(t.Context())
		news := 0
		c.Report = func(row Row, _ remote.Progress) {
			if row.Step.IsEnd() {
				return
			}
			if news++; news == 9+runs%7 {
				cancel()
			}
		}
		s, err := Run(ctx, c)
		ended := s.Left() == 0
		cancel()
		if ended {
			if s.Ends[Promoted] != 17 || s.Ends[FellBack] != 3 {
				t.Errorf("%+v", s)
			}
			break
		}
		if !errors.Is(err, context.Canceled) || runs > 1000 {
			t.Fatalf("run %d: %+v, %v", runs, s, err)
		}
	}
	for _, b := range f.boards {
		if b.Trials() != 1 {
			t.Errorf("board %s tried it %d times", b.Host(), b.Trials())
		}
	}
	t.Logf("FIGURE fleet: %d interrupted runs, 20 boards, nobody twice", runs)
}

// A board that has had it by another way is not sent it.
func TestBoardThatHadTheUpdateIsNotSentItAgain(t *testing.T) {
	f := newFleet(t, 4)
	runs, failed, unjudged := f.boards[0], f.boards[1], f.boards[2]
	failed.Bad, unjudged.Unjudged = true, true
	for _, b := range []*fleettest.Board{runs, failed, unjudged} {
		if _, err := b.Client.Update(t.Context(), f.bundle, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := f.config(filepath.Join(t.TempDir(), "state"))
	want := map[Step]int{Already: 1, FellBack: 1, NotJudged: 1, Promoted: 1}
	for range 2 {
		s, err := Run(t.Context(), c)
		if diff := cmp.Diff(want, s.Ends); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	for i, b := range f.boards {
		if b.Trials() != 1 {
			t.Errorf("board %d tried it %d times", i, b.Trials())
		}
	}
	// The one that was not judged tries it by itself, and this time the gateway is there.
	unjudged.Change(func(s *api.Status) { s.Version, s.Index = "v2", 200 })
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Promoted] != 2 || s.Ends[NotJudged] != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// The same version name on another build, as when a fault was mended and the tag moved.
func TestBoardOnWhichAnotherBuildFailedGetsTheUpdate(t *testing.T) {
	f := newFleet(t, 4)
	for i, edit := range []func(*api.Status){
		func(s *api.Status) { s.Failed = &control.Failed{Version: "v2", Index: 150, Because: "no picture"} },
		func(s *api.Status) { s.Trial = &control.Trial{Version: "v2", Index: 150, State: control.StateFailed} },
		func(s *api.Status) {
			s.Trial = &control.Trial{Version: "v2", Index: 150, State: control.StateNotJudged}
		},
		func(s *api.Status) { s.Version, s.Index = "v2", 150 },
	} {
		f.boards[i].Change(edit)
	}
	s, err := Run(t.Context(), f.config(filepath.Join(t.TempDir(), "state")))
	if err != nil || s.Ends[Promoted] != 4 {
		t.Errorf("%+v, %v, want 4 promoted", s, err)
	}
}

// Three tries without a verdict: the board does not try a fourth time by itself, and is sent nothing.
func TestBoardThatGaveUpIsToldApart(t *testing.T) {
	f := newFleet(t, 2)
	f.boards[0].Change(func(s *api.Status) {
		s.Trial = &control.Trial{Version: "v2", Index: 200, State: control.StateGivenUp, Tries: 3, Reason: "no gateway"}
	})
	var last Row
	c := f.config(filepath.Join(t.TempDir(), "state"))
	c.Report = func(row Row, _ remote.Progress) {
		if row.Host == f.hosts[0] {
			last = row
		}
	}
	for range 2 {
		s, err := Run(t.Context(), c)
		if err != nil || s.Ends[GivenUp] != 1 || s.Ends[Promoted] != 1 || s.Left() != 0 || s.IsGood() {
			t.Errorf("%+v, %v, want one that gave up", s, err)
		}
		if last.Step != GivenUp || last.Reason != "no gateway" || f.boards[0].Trials() != 0 {
			t.Errorf("%+v after %d trials, want why it gave up and no trial", last, f.boards[0].Trials())
		}
	}
	c.Connect = func(context.Context, string) (Board, error) { return nil, errors.New("off") }
	if s, err := Run(t.Context(), c); err != nil || s.Ends[GivenUp] != 1 {
		t.Errorf("a board that gave up and is off now: %+v, %v", s, err)
	}
	f.boards[0].Change(func(s *api.Status) { s.Version, s.Index = "v2", 200 }) // somebody promoted it
	c.Connect = f.connect
	if s, err := Run(t.Context(), c); err != nil || !s.IsGood() {
		t.Errorf("%+v, %v, want both good", s, err)
	}
}

func TestBoardThatCannotBeReachedIsTriedByTheNextRun(t *testing.T) {
	f := newFleet(t, 3)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	off := f.hosts[1]
	c.Connect = func(ctx context.Context, host string) (Board, error) {
		if host == off {
			return nil, errors.New(host + ": no route to host")
		}
		return f.connect(ctx, host)
	}
	var last Row
	c.Report = func(row Row, _ remote.Progress) {
		if row.Host == off {
			last = row
		}
	}
	s, err := Run(t.Context(), c)
	if err != nil || s.Ends[Failed] != 1 || s.Ends[Promoted] != 2 || last.Reason != "no route to host" {
		t.Errorf("%+v, %v; last %+v", s, err, last)
	}
	c.Connect = f.connect
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Promoted] != 3 || !s.IsGood() {
		t.Errorf("%+v, %v", s, err)
	}
	f.boards[0].Client.Password = "wrong"
	c.State = ""
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Failed] != 1 || s.Ends[Already] != 2 {
		t.Errorf("with a wrong password: %+v, %v", s, err)
	}
}

// silent says nothing after it has taken the update.
type silent struct{ Board }

func (s silent) Update(context.Context, *update.Bundle, func(remote.Progress)) (remote.Outcome, error) {
	return remote.Outcome{Result: remote.ResultUnknown}, errors.New("nothing new for 10m")
}

func TestBoardThatFellSilentIsAskedByTheNextRun(t *testing.T) {
	f := newFleet(t, 1)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	c.Connect = func(ctx context.Context, host string) (Board, error) {
		b, err := f.connect(ctx, host)
		return silent{b}, err
	}
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Unknown] != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	c.Connect = func(context.Context, string) (Board, error) { return nil, errors.New("off") }
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Unknown] != 1 {
		t.Errorf("a board that may have it is called one that did not take it: %+v, %v", s, err)
	}
	f.boards[0].Change(func(s *api.Status) { s.Version, s.Index = "v2", 200 })
	c.Connect = f.connect
	if s, err := Run(t.Context(), c); err != nil || s.Ends[Promoted] != 1 || f.boards[0].Trials() != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// As when the new version streams, which is what a board judges by, and its camweb does not start: no
// board would say that it failed, and all would be out of reach.
func TestNoBoardIsBegunAfterSomeFellSilent(t *testing.T) {
	f := newFleet(t, 10, 0)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	c.AtOnce, c.StopAfter = 1, 3
	c.Connect = func(ctx context.Context, host string) (Board, error) {
		b, err := f.connect(ctx, host)
		if host == f.hosts[0] {
			return b, err
		}
		return silent{b}, err
	}
	s, err := Run(t.Context(), c)
	if want := map[Step]int{FellBack: 1, Unknown: 2}; err != nil || !s.Stopped || !cmp.Equal(s.Ends, want) {
		t.Fatalf("%+v, %v, want %v", s, err, want)
	}
	// The next call asks what came of them, and begins nothing new: one keeps the version, one does not have it.
	c.Connect = f.connect
	f.boards[1].Change(func(s *api.Status) { s.Version, s.Index = "v2", 200 })
	c.StopAfter = 2
	s, err = Run(t.Context(), c)
	if want := map[Step]int{FellBack: 1, Unknown: 1, Promoted: 1}; err != nil || !cmp.Equal(s.Ends, want) {
		t.Errorf("%+v, %v, want %v", s, err, want)
	}
	for i, b := range f.boards {
		if want := map[int]int{0: 1}[i]; b.Trials() != want {
			t.Errorf("board %d tried it %d times, want %d", i, b.Trials(), want)
		}
	}
	c.StopAfter = 0
	if s, err = Run(t.Context(), c); err != nil || s.Ends[Promoted] != 9 || s.Ends[FellBack] != 1 {
		t.Errorf("without the limit: %+v, %v", s, err)
	}
}

// Writing a slot takes a minute, and the board refuses what is sent meanwhile.
func TestRunThatWasKilledWhileBoardsWriteIsContinued(t *testing.T) {
	f := newFleet(t, 3)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	j, err := openJournal(c.State, Update{"v2", "rpi", 200})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []Step{Begun, Taken} {
		if err := j.note(Row{Host: f.hosts[i], Step: step}); err != nil {
			t.Fatal(err)
		}
		f.boards[i].Write(f.bundle.Manifest)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if s, err := Run(t.Context(), c); err != nil || !s.IsGood() {
		t.Errorf("%+v, %v, want all good", s, err)
	}
	for i, b := range f.boards {
		if b.Trials() != 1 {
			t.Errorf("board %d tried it %d times", i, b.Trials())
		}
	}
}

// recorder says when it is asked.
type recorder struct {
	Board
	asked func()
}

func (r recorder) Status(ctx context.Context) (api.Status, error) {
	r.asked()
	return r.Board.Status(ctx)
}

func TestStepIsDurableBeforeTheBoardIsAsked(t *testing.T) {
	f := newFleet(t, 6)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	var mu sync.Mutex
	c.Connect = func(ctx context.Context, host string) (Board, error) {
		b, err := f.connect(ctx, host)
		return recorder{b, func() {
			mu.Lock()
			defer mu.Unlock()
			text, err := os.ReadFile(c.State)
			if err != nil || !strings.Contains(string(text), `"host":"`+host+`","step":"begun"`) {
				t.Errorf("%s is asked, and the state says %s, %v", host, text, err)
			}
		}}, err
	}
	for _, b := range f.boards {
		b.Sent = func() {
			if text, err := os.ReadFile(c.State); err != nil || !strings.Contains(string(text), b.Host()) {
				t.Errorf("%s has the update, and the state says %s, %v", b.Host(), text, err)
			}
		}
	}
	if s, err := Run(t.Context(), c); err != nil || !s.IsGood() {
		t.Errorf("%+v, %v", s, err)
	}
}

// As on a full disk: nothing is begun that could not be remembered.
func TestStateThatCannotBeKeptEndsTheRun(t *testing.T) {
	f := newFleet(t, 8)
	u := Update{"v2", "rpi", 200}
	j, err := openJournal(filepath.Join(t.TempDir(), "state"), u)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Config: f.config(""), update: u, journal: j, events: make(chan event), ends: map[Step]int{}}
	r.Now, r.Report = time.Now, func(Row, remote.Progress) {}
	if err := j.close(); err != nil { // each write fails now
		t.Fatal(err)
	}
	if err := r.all(t.Context()); err == nil || !strings.Contains(err.Error(), "is not kept") {
		t.Errorf("%v, want that the state is not kept", err)
	}
	for i, b := range f.boards {
		if b.Trials() != 0 {
			t.Errorf("board %d got the update", i)
		}
	}
}

func TestStateOfAnotherUpdateIsRefused(t *testing.T) {
	f := newFleet(t, 1)
	c := f.config(filepath.Join(t.TempDir(), "state"))
	other := `{"format":1,"version":"v0","board":"rpi","index":1}` + "\n"
	if err := os.WriteFile(c.State, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), c); !errors.Is(err, ErrOtherUpdate) || f.boards[0].Trials() != 0 {
		t.Errorf("%v, want ErrOtherUpdate", err)
	}
}
