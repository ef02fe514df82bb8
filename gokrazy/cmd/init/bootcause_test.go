package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

func TestBootCauseIsThatOfTheResetManager(t *testing.T) {
	for bytes, want := range map[string]string{
		"\x00\x00\x10\x00": causePower, "\x00\x00\x10\x20": causeRestart, "\x00\x00\x00\x20": causeRestart,
		"\x00\x00\x00\x00": causeUnknown, "": causeUnknown, "\x10\x00": causeUnknown,
	} {
		if got := parseResetStatus([]byte(bytes)); got != want {
			t.Errorf("%x: %s, want %s", bytes, got, want)
		}
	}
}

func TestAStartSaysHowTheRunBeforeEnded(t *testing.T) {
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	for _, c := range []struct {
		name  string
		ended bool // in order
		cause string
		want  string
		kind  string
		text  string
	}{
		{"it restarted the board", true, causeRestart, causeRestart, events.Boot, "start by restart, slot a"},
		{"it panicked", false, causeRestart, causeCrash, events.Panic, "start after a panic or watchdog reset, slot a"},
		{"the power was cut", false, causePower, causePower, events.Boot, "start by power on, slot a"},
		{"the board does not say why it starts", false, causeUnknown, causeUnknown, events.Boot,
			"start by unknown, slot a; the run before did not end in order: power cut, panic or watchdog"},
		{"nor does it after a restart", true, causeUnknown, causeUnknown, events.Boot, "start by unknown, slot a"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "run")
		if got := beginRun(log, path); got != runUnknown {
			t.Errorf("%s: before the first run: %q", c.name, got)
		}
		if c.ended {
			endRun(log, path)
		}
		list, err := events.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		got := noteStart(log, list, c.cause, beginRun(log, path), place{running: slot.A, promoted: slot.A})
		kept := events.Read(dir)
		if got != c.want || len(kept) != 1 || kept[0].Kind != c.kind || kept[0].Text != c.text {
			t.Errorf("%s: cause %q, events %+v", c.name, got, kept)
		}
	}
}

func TestACauseSaysWhatBecameOfATrial(t *testing.T) {
	for cause, want := range map[string]trial.Boot{
		causePower:   {PowerCut: true},
		causeRestart: {Restarted: true},
		causeCrash:   {Restarted: true, Died: causeCrash},
		causeUnknown: {},
	} {
		want.Running, want.Promoted = "a", "a"
		at := boardState{
			place: place{trial: board.UBootTry, running: slot.A, promoted: slot.A},
			facts: control.Status{BootCause: cause},
		}
		if got := at.trialBoot(); got != want {
			t.Errorf("%s: %+v, want %+v", cause, got, want)
		}
	}
}
