package main

import (
	"cmp"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"
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

func TestACamsourceThatHangsIsKilledAndTheBoardGoesOn(t *testing.T) {
	b := newFakeBoard(t, board.Tryboot)
	b.reaches[slot.A] = nil // it reports nothing
	b.live(70 * time.Second)
	if b.killed != 2 || b.restarted {
		t.Errorf("%d kills in 70 s, restarted %t, want 2 and none", b.killed, b.restarted)
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
	s.facts.Perm, b.permTrouble = "in memory until the next start", "full"
	if s.turn(); b.status.Perm != "in memory until the next start; full" {
		t.Errorf("perm = %q", b.status.Perm)
	}
}
