package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/perm"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

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

// On one core camweb's start would take a second from the stream's.
func TestCamwebIsStartedOnceTheStreamBeganOrSoonWithoutOne(t *testing.T) {
	for _, c := range []struct {
		rung health.Rung
		want time.Duration
	}{{health.Sent, 9 * time.Second}, {health.Granted, webAt}, {health.None, webAt}} {
		b := newFakeBoard(t, board.Tryboot)
		b.reaches[slot.A] = func(up time.Duration) health.Rung {
			if up < 9*time.Second {
				return health.None
			}
			return c.rung
		}
		s := b.started(slot.A)
		b.unstarted, b.stopped[webPath] = true, true
		for b.stopped[webPath] && b.up < time.Minute {
			if s.turn(); b.stopped[webPath] {
				b.up += time.Second
			}
		}
		if b.up != c.want || s.again[webPath] {
			t.Errorf("rung %s: started after %v, want %v; said to have ended: %t",
				c.rung, b.up, c.want, s.again[webPath])
		}
	}
}

func TestACamsourceThatHangsIsKilledAndTheBoardGoesOn(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.reaches[slot.A] = nil // it reports nothing
	b.live(70 * time.Second)
	if b.killed != 2 || b.restarted {
		t.Errorf("%d kills in 70 s, restarted %t, want 2 and none", b.killed, b.restarted)
	}
}

// runs has the supervisor's loop run in a bubble's time, until the board restarts or limit is over. It
// gives the moment.
func (s *supervisor) runs(b *fakeBoard, limit time.Duration, asks func()) (end time.Duration) {
	began := time.Now().Add(-b.up)
	s.now = func() time.Duration {
		b.up = time.Since(began)
		return b.up
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	restart := s.restart
	s.restart = func(before func(), argument string) {
		restart(before, argument)
		cancel()
	}
	go asks()
	s.run(ctx)
	synctest.Wait()
	return time.Since(began)
}

// What is looked at between two seconds, because somebody asked, is not held for a second longer.
func TestNothingDueWaitsForTheNextSecond(t *testing.T) {
	ask := func(s *supervisor, after time.Duration, what string) func() {
		return func() {
			time.Sleep(after)
			r := request{control.Request{Ask: what}, make(chan error, 1)}
			s.requests <- r
			<-r.answer
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBoard(t, board.Tryboot)
		s := b.started(slot.A)
		want := b.up + 300*time.Millisecond + answerTime
		got := s.runs(b, time.Minute, ask(s, 300*time.Millisecond, control.AskApply))
		if !b.restarted || got < want || got > want+5*time.Millisecond {
			t.Errorf("restarted %t after %v, want after %v", b.restarted, got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBoard(t, board.Tryboot)
		b.live(time.Hour, control.AskApply)
		b.reaches[slot.B] = func(up time.Duration) health.Rung {
			if up < 8200*time.Millisecond {
				return health.None
			}
			return health.Validated
		}
		s := b.started(slot.B)
		promoted := time.Duration(0)
		withCard := s.withCard
		s.withCard = func(use func(cardSwitch) error) error {
			promoted = b.up
			return withCard(use)
		}
		s.runs(b, 2*time.Minute, ask(s, 8400*time.Millisecond-b.up, control.AskApply))
		want := 68400 * time.Millisecond
		if b.promoted != slot.B || promoted < want || promoted > want+5*time.Millisecond {
			t.Errorf("slot %s promoted after %v, want b after %v", b.promoted, promoted, want)
		}
	})
}

// What a camsource said last is not what it does.
func TestACamsourceThatSaysNoMoreHasNoRung(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	for ; b.up < time.Minute; b.up += time.Second {
		if b.up > 30*time.Second {
			b.reaches[slot.A] = nil
		}
		if s.turn(); b.up == 30*time.Second && b.status.Rung != string(health.Validated) {
			t.Errorf("rung %q while it streams", b.status.Rung)
		}
	}
	if b.status.Rung != string(health.None) {
		t.Errorf("rung %q after half a minute of silence", b.status.Rung)
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

// What is wrong with the other slot must not hide the version that runs, whose keys and index camweb
// needs to take an update.
func TestBrokenManifestOfTheOtherSlotLeavesTheRunningOnes(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.slotsErr = errors.New("slot b: manifest: unexpected end of JSON input")
	published := manifests{}
	s := b.supervisor()
	s.publish = func(m manifests, promoted slot.Name) error { published = m; return nil }
	s.readManifests()
	s.beginAs(b)
	if s.turn(); b.status.Version != "v1" || published[slot.A] == nil {
		t.Errorf("version %q, published %v, want v1 of slot a", b.status.Version, published)
	}
}

// What the start found out about /perm must reach what refuses updates.
func TestBoardOfWhichPermDoesNotLastSaysThatItTakesNoUpdate(t *testing.T) {
	at := boardState{
		place: place{trial: board.Tryboot, disk: "disk", running: slot.A, promoted: slot.A},
		owner: &ownerSettings{}, facts: control.Status{Perm: "in memory"},
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	for _, at.permLasts = range []bool{true, false} {
		s := newSupervisor(t.Context(), log, newProgress(), at)
		if got := s.updatable(); (got == "") != at.permLasts {
			t.Errorf("/perm lasts: %t, updatable = %q", at.permLasts, got)
		}
	}
}

// A /perm that fills up or fails later than at the start is said, too, and once.
func TestStatusSaysWhatBecomesOfPerm(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	s := b.started(slot.A)
	s.facts.Perm = perm.OK
	for _, trouble := range []string{"", "full", "full", "read-only", ""} {
		b.permTrouble = trouble
		b.up += time.Second
		if s.turn(); b.status.Perm != cmp.Or(trouble, perm.OK) {
			t.Errorf("perm = %q while it is %q", b.status.Perm, trouble)
		}
	}
	if want := []string{"/perm is full", "/perm is read-only"}; !slices.Equal(b.events, want) {
		t.Errorf("events %q, want %q", b.events, want)
	}
	s.facts.Perm, b.permTrouble = "read-only: input/output error", "read-only"
	if s.turn(); b.status.Perm != "read-only: input/output error" {
		t.Errorf("perm = %q", b.status.Perm)
	}
	s.facts.Perm, b.permTrouble = "in memory until the next start", "full"
	if s.turn(); b.status.Perm != "in memory until the next start; full" {
		t.Errorf("perm = %q", b.status.Perm)
	}
}
