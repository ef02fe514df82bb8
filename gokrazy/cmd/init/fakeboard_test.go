// A board in memory: what outlives a restart, and a supervisor on it.

package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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

	// What the network allows and the versions do: what camsource reaches in each slot after up; nil: nothing starts.
	reaches   map[slot.Name]func(up time.Duration) health.Rung
	exits     map[slot.Name]int // camsource's, one every 2 s
	webExits  map[slot.Name]int // camweb's, likewise
	cardErr   error
	switchErr error     // of a card whose config.txt was edited
	settings  slot.Name // whose settings are the owner's

	mu       sync.Mutex // slotwriter has a goroutine of its own
	slots    manifests
	slotsErr error // beside those of slots

	running     slot.Name
	up          time.Duration
	argument    string
	restarted   bool
	status      control.Status
	killed      int
	writeErr    error
	early       bool // writeErr comes before anything is written
	unsigned    bool // the owner takes unsigned roots
	saveErr     error
	inMemory    bool            // /perm does not last
	permTrouble string          // "": none
	cause       trial.Boot      // what is known of why the board starts
	stopped     map[string]bool // services that gokrazy does not start again
	unstarted   bool            // camweb has had no process yet
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
		t: t, kind: kind, promoted: slot.A, running: slot.A, settings: slot.A,
		slots: manifests{slot.A: {Version: "v1", Index: 1, TrialS: 60}},
		reaches: map[slot.Name]func(time.Duration) health.Rung{
			slot.A: always(health.Validated), slot.B: always(health.Validated),
		},
		exits: map[slot.Name]int{}, webExits: map[slot.Name]int{}, stopped: map[string]bool{},
	}
}

// Of cardSwitch.
func (b *fakeBoard) CheckSwitch() error { return errors.Join(b.cardErr, b.switchErr) }
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
func (b *fakeBoard) Promoted()            { b.settings = b.running }
func (b *fakeBoard) HandOver() error      { b.settings = b.running.Other(); return nil }
func (b *fakeBoard) LeftBehind() []string { return []string{"stream.new"} }

// supervisor gives a fresh one, as after a start.
func (b *fakeBoard) supervisor() *supervisor {
	b.restarted, b.up = false, 5*time.Second
	p := place{board: "rpi", model: "test", trial: b.kind, disk: "disk", running: b.running, promoted: b.promoted}
	return &supervisor{
		log: slog.New(slog.NewTextHandler(b.t.Output(), nil)), events: b, owner: b, duties: newProgress(), place: p,
		written: make(chan slotWritten, 1), requests: make(chan request),
		lasts: !b.inMemory, paths: []string{sourcePath, webPath, "/gokrazy/ntp"}, again: map[string]bool{},
		environment: environment{
			now:   func() time.Duration { return b.up },
			clock: func() time.Time { return time.Unix(1767225600, 0) },
			look: func(path string) (process, error) {
				if path == webPath && b.unstarted && b.stopped[path] {
					return process{Stopped: true}, nil
				}
				ends := 0
				switch path {
				case sourcePath:
					ends = b.exits[b.running]
				case webPath:
					ends = b.webExits[b.running]
				}
				n := min(int(b.up/(2*time.Second)), ends)
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
				return maps.Clone(b.slots), b.slotsErr
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
			permTrouble: func() string { return b.permTrouble },
			writeStatus: func(s control.Status) error { b.status = s; return nil },
			unsigned:    func() bool { return b.unsigned },
			writeSlot: func(_ context.Context, job writerJob) error {
				if b.kept.Record != nil {
					b.t.Error("a record may lead into a slot that is half written")
				}
				if b.try != slot.None {
					b.t.Error("the card is to try a slot that is half written")
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
				if r := b.kept.Record; r != nil && r.State == control.StateRequested {
					b.t.Error("the record says that the restart was made, and a power cut may come before it")
				}
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

// begin makes a request, whose answer may come later.
func (b *fakeBoard) begin(s *supervisor, what string) request {
	r := request{control.Request{Ask: what}, make(chan error, 1)}
	s.take(b.t.Context(), r)
	return r
}

// ask makes a request and waits for slotwriter; want is part of the refusal.
func (b *fakeBoard) ask(s *supervisor, what string, want []string) {
	b.t.Helper()
	r := b.begin(s, what)
	if s.job != nil {
		s.finishWriting(<-s.written)
	}
	err := <-r.answer
	if (err != nil) != (want != nil) || err != nil && !strings.Contains(err.Error(), want[0]) {
		b.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func trials() []board.Trial { return []board.Trial{board.Tryboot, board.UBootTry} }
