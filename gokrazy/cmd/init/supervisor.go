// The main loop of init, once the services run: each second it looks at camsource, judges the running
// slot, ends what hangs and takes requests. All that it decides is decided in one goroutine.

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

const (
	turnInterval = time.Second
	// answerTime is how long an answer may take to reach whoever asked, before the board restarts.
	// What has not left by then leaves while the services stop: camweb ends its answers first.
	answerTime = 500 * time.Millisecond
	// webAt is when camweb is started at the latest, since the kernel's start: the stream, before which it
	// is not, may never begin.
	webAt = 20 * time.Second
)

// A cardSwitch changes which slot starts; *slot.Card is one.
type cardSwitch interface {
	CheckSwitch() error
	Promote(slot.Name) error
	RequestTrial(slot.Name) error
	ClearTrial() error
	Heal(board.Trial, slot.Name) (slot.Name, error)
}

// An eventLog keeps what happened; *events.Log is one.
type eventLog interface {
	Add(kind, text string) error
}

// A slotSettings is the owner's settings, which follow the slots; *ownerSettings is one.
type slotSettings interface {
	Promoted()
	HandOver() error
	LeftBehind() []string
}

// An environment is all that the supervisor sees and moves. Tests have one of their own.
type environment struct {
	now         func() time.Duration // since the kernel's start
	clock       func() time.Time
	look        func(path string) (process, error)
	health      func() (health.Report, error)
	start       func(path string) error // a service that is not started again by itself
	kill        func(pid int) error
	withCard    func(use func(cardSwitch) error) error
	manifests   func() (manifests, error)        // of both slots, as they are now
	publish     func(manifests, slot.Name) error // with the promoted slot
	save        func(trial.Kept) error
	permTrouble func() string // what has become of /perm since the start; "": nothing
	writeStatus func(control.Status) error
	unsigned    func() bool                            // whether the owner takes roots without a signature
	writeSlot   func(context.Context, writerJob) error // blocks for minutes
	restart     func(before func(), argument string)   // does not return, except in a test
}

// A supervisor is used by one goroutine; others reach it by requests.
type supervisor struct {
	environment
	log      *slog.Logger
	events   eventLog
	owner    slotSettings
	duties   *progress
	place    place
	facts    control.Status // what stays the same: who and where this board is
	lasts    bool           // what is saved outlives a restart
	paths    []string       // the services' programs
	requests chan request
	written  chan slotWritten
	doing    chan string // what slotwriter does

	slots  manifests
	kept   trial.Kept
	step   trial.Step
	watch  *trial.Watch // with Prove and Judge
	pause  *trial.Pause // with Wait
	memory trial.Memory

	source     sourceWatch
	web        serviceWatch
	again      map[string]bool // services, by path, that startAgain has named
	promotions int             // that did not succeed
	busy       string
	job        *request      // who waits for the slot that is written
	before     beforeWriting // what was kept when its writing began
	leaveAt    time.Duration // since the kernel's start: when a slot is left that nobody asked for; 0: never
	ending     func()        // the end of this run, due at endAt
	endAt      time.Duration
	status     control.Status // as it was last written
	silent     bool           // the status could not be written
	trouble    string         // of /perm, as it was last said
}

// run is the loop, whose duty has begun. It returns when ctx ends.
func (s *supervisor) run(ctx context.Context) {
	tick := time.NewTicker(turnInterval)
	defer tick.Stop()
	for {
		s.turn()
		s.duties.note(dutyLoop, s.now())
		var due <-chan time.Time
		if in := s.dueIn(); in > 0 {
			due = time.After(in + time.Millisecond) // the two clocks may differ by less
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-due:
		case r := <-s.requests:
			s.take(ctx, r)
		case w := <-s.written:
			s.finishWriting(w)
		case d := <-s.doing:
			s.noteWriting(d)
		}
	}
}

// dueIn is after how long something is due that does not wait for the next second: an update is over a
// second or two sooner. 0: nothing is.
func (s *supervisor) dueIn() time.Duration {
	switch {
	case s.ending != nil:
		return s.endAt - s.now()
	case s.step == trial.Prove && s.busy == "":
		return s.watch.Left(s.now())
	}
	return 0
}

// turn is what is done every second, and when something is due.
func (s *supervisor) turn() {
	if end := s.ending; end != nil && s.now() >= s.endAt {
		s.ending, s.busy = nil, ""
		end() // and if it could not end, the board lives on
		return
	}
	o := s.observe()
	s.endHang()
	if s.busy == "" {
		s.judge(o)
	}
	s.notePerm()
	s.report(o)
}

// notePerm says what becomes of /perm when that changes.
func (s *supervisor) notePerm() {
	now := s.permTrouble()
	if now != s.trouble && now != "" {
		s.note(events.Perm, "/perm is "+now)
	}
	s.trouble = now
}

// observe looks at the services.
func (s *supervisor) observe() trial.Observation {
	now := s.now()
	for _, path := range s.paths {
		p, err := s.look(path)
		if err != nil {
			continue
		}
		switch path {
		case sourcePath:
			r, err := s.health()
			s.source.note(now, p, r, err)
		case webPath:
			s.web.follow(p)
		}
		switch {
		case !p.Stopped || s.duties.isEnding():
		case path == webPath && p.StartTime.IsZero():
			s.startWeb(now)
		default:
			s.startAgain(path)
		}
	}
	o := trial.Observation{
		Up: now, Alive: s.source.isAlive(now), Exits: s.source.exits, Exited: "camsource", Hangs: s.source.hangs,
	}
	if s.web.exits > o.Exits {
		o.Exits, o.Exited = s.web.exits, "camweb"
	}
	if o.Alive {
		o.Rung, o.Words = s.source.report.Rung, s.source.report.Gateway
		if s.source.report.Camera == "" {
			o.Words = "no camera is open"
		}
	}
	s.memory.Note(o)
	return o
}

// startWeb starts camweb once the stream has the start behind it.
func (s *supervisor) startWeb(now time.Duration) {
	if !s.source.report.Rung.Reaches(health.Sent) && now < webAt {
		return
	}
	if err := s.start(webPath); err != nil {
		s.log.Error("camweb is not started", "error", err)
	}
}

// startAgain starts a service that gokrazy leaves alone, because it ended with status 0 or 125. That
// it ended, the process after it shows.
func (s *supervisor) startAgain(path string) {
	if !s.again[path] {
		s.log.Warn("a service ended as if it were done: it is started again, each time", "service", path)
		s.again[path] = true
	}
	if err := s.start(path); err != nil {
		s.log.Error("a service stays ended", "service", path, "error", err)
	}
}

// endHang kills a camsource that hangs.
func (s *supervisor) endHang() {
	reason := s.source.hang(s.now())
	if reason == "" {
		return
	}
	s.log.Error("camsource hangs: it is killed and started again", "pid", s.source.process.Pid, "because", reason)
	if err := s.kill(s.source.process.Pid); err != nil {
		s.log.Error("camsource", "error", err)
	}
}

// judge follows the step that the board is in.
func (s *supervisor) judge(o trial.Observation) {
	switch s.step {
	case trial.Prove:
		switch s.watch.Observe(o) {
		case trial.Held:
			_ = s.promoteRunning("") // tried again at the next turn
		case trial.Missed:
			s.goBack(s.watch.Explain(), s.watch.Best())
		}
	case trial.Judge:
		if v := s.watch.Observe(o); v != trial.Undecided {
			s.settle(s.kept.Record.Judged(v == trial.Held))
		}
	case trial.GoBack:
		if s.leaveAt > 0 && o.Up >= s.leaveAt {
			s.leaveAt = 0
			s.restart(nil, "")
		}
	case trial.Wait:
		if s.pause.IsOver(o) {
			s.log.Info("the update is tried again", "slot", s.kept.Record.Slot, "tries", s.kept.Record.Tries)
			s.try()
		}
	}
}

// endIn plans the end of this run for when the answer to a request has been read.
func (s *supervisor) endIn(d time.Duration, end func()) {
	s.ending, s.endAt, s.busy = end, s.now()+d, "the board restarts"
}
