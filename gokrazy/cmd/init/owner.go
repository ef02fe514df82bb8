// The owner's settings: what the seed, a reset, an update or damage make of them at this start.

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/settings"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// An ownerSettings keeps the settings of the slot that runs, and says what becomes of them.
type ownerSettings struct {
	log    *slog.Logger
	events *events.Log
	store  settings.Store
	slot   slot.Name // whose settings count
	left   []string  // settings that are left behind
	parts  string    // the folder where each service finds its own
	// withBoot calls a function with the folder where the boot partition is mounted meanwhile.
	withBoot func(use func(boot string) error) error
}

// newOwnerSettings has those of the running slot. If nobody can say which that is, they are those of
// slot A: a board streams all the same.
func newOwnerSettings(log *slog.Logger, list *events.Log, running slot.Name) *ownerSettings {
	if !running.Valid() {
		running = slot.A
	}
	s := settings.Store{Dir: permFolder, Defaults: config.ImageItems(config.ImageDefaults)}
	return &ownerSettings{
		log: log, events: list, store: s, slot: running, parts: configFolder, withBoot: withBootPartition,
	}
}

// startOf says what runs and what is tried, for settings.
func startOf(kept trial.Kept, where place) settings.Start {
	at := settings.Start{Running: where.running, Promoted: where.promoted}
	switch r := kept.Record; {
	case r == nil:
	case r.Slot == string(where.running):
		at.Trial = fmt.Sprintf("%s/%d", r.Version, r.Index)
	default:
		at.Failed = r.Version
	}
	return at
}

// settle does what is due at a start, takes a new seed, writes what each service may know, and
// returns what was done with the seed. On trial, reset and seed wait until it is over.
func (o *ownerSettings) settle(at settings.Start) (seed string) {
	o.complain("settings of an older version", o.store.Migrate(o.slot))
	o.complain("files of a power cut", o.store.Sweep())
	settled, err := o.store.Settle(at)
	o.complain("settings over an update", err)
	if len(settled.Back) > 0 {
		o.tell(events.Settings, "settings of an earlier version count again: "+strings.Join(fewOf(settled.Back), ", "))
	}
	if len(settled.LeftBehind) > 0 {
		o.tell(events.LeftBehind, "settings that only the version that failed had do not count: "+
			strings.Join(fewOf(settled.LeftBehind), ", "))
	}
	seed = settings.SeedNone
	if at.Running == at.Promoted || at.Trial == "" {
		seed = o.readBootPartition()
	}
	o.apply(err != nil && at.Running != at.Promoted, at.Promoted)
	o.left = fewOf(o.store.LeftBehind(o.slot))
	return seed
}

// Promoted makes the running slot's settings the current ones.
func (o *ownerSettings) Promoted() {
	o.complain("settings over an update", o.store.Promote(o.slot))
	o.left = fewOf(o.store.LeftBehind(o.slot))
}

// HandOver gives the other slot, which is promoted without a trial, the running one's settings.
func (o *ownerSettings) HandOver() error { return o.store.HandOver(o.slot, o.slot.Other()) }

// A status names so many settings at most, and as many bytes of each: what reads it has limits.
const (
	maxLeft     = 50
	maxLeftName = 100
)

// fewOf shortens a list of names, which is as long as an owner's file may make it.
func fewOf(names []string) []string {
	few := slices.Clone(names[:min(len(names), maxLeft)])
	for i, n := range few {
		few[i] = strings.ToValidUTF8(n[:min(len(n), maxLeftName)], "")
	}
	if more := len(names) - len(few); more > 0 {
		few = append(few, fmt.Sprintf("and %d more", more))
	}
	return few
}

// LeftBehind names the settings that only a version that failed had.
func (o *ownerSettings) LeftBehind() []string { return o.left }

// readBootPartition obeys a reset file and takes the seed.
func (o *ownerSettings) readBootPartition() string {
	outcome := settings.SeedFailed
	err := o.withBoot(func(boot string) error {
		done, resetErr := o.store.Reset(boot, o.slot)
		if done {
			o.tell(events.Settings, "the file reset restores the factory configuration: image's defaults and seed")
		}
		var err error
		outcome, err = o.store.TakeSeed(boot, o.slot)
		reportLikeSeed(o.log, boot, outcome)
		return errors.Join(resetErr, err)
	})
	if outcome == settings.SeedRefused {
		o.tell(events.Settings, fmt.Sprintf("the seed is refused: %v", err))
	} else if err != nil {
		o.log.Error("seed", "error", err)
	}
	return outcome
}

// reportLikeSeed logs what an owner may take for the seed, if the seed itself said nothing new.
func reportLikeSeed(log *slog.Logger, boot, outcome string) {
	entries, err := os.ReadDir(boot)
	if err != nil || outcome != settings.SeedNone {
		return
	}
	for _, e := range entries {
		if config.LooksLikeSeed(e.Name()) && !e.IsDir() {
			log.Warn("not the seed: rename it to krazycam.json", "file", e.Name())
		}
	}
}

// apply reads the settings and gives each service its part. instead says that those of another slot
// count, because this one's could not be made.
func (o *ownerSettings) apply(instead bool, other slot.Name) {
	n := o.slot
	if instead && other.Valid() {
		n = other
	}
	found, err := o.store.Load(n)
	o.complain("the last good settings are not kept", err)
	if text := describe(found); text != "" {
		o.tell(events.Settings, text)
	}
	for _, s := range services() {
		if err := s.write(o.parts, found); err != nil {
			o.log.Error("a service has no settings", "service", s.name, "error", err)
		}
	}
}

// describe says what is wrong with the owner's file; "" if nothing is.
func describe(found settings.Settings) string {
	if len(found.Problems) == 0 {
		return ""
	}
	text := found.Problems[0].Error()
	if n := len(found.Problems) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	if found.Unused {
		return fmt.Sprintf("%s: going on with %s", text, found.From)
	}
	return "some settings do not count: " + text
}

// complain logs an error of one step; the next ones are taken all the same.
func (o *ownerSettings) complain(what string, err error) {
	if err != nil {
		o.log.Error(what, "error", err)
	}
}

func (o *ownerSettings) tell(kind, text string) { tell(o.log, o.events, kind, text) }
