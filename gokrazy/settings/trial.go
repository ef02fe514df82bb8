// Settings over an update: copied for the trial, kept after promotion, and left behind, by name,
// after the way back.

package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// A begun trial, in the folder of the slot that is on trial.
type begun struct {
	Format  int      `json:"format"`
	Trial   string   `json:"trial"`   // which one, as beginTrial's caller calls it; "": see HandOver
	From    string   `json:"from"`    // the slot whose settings were copied
	Applied []string `json:"applied"` // settings that had been left behind and are back
}

// beginTrial gives the slot on trial, which runs, the settings of the promoted one, with those that
// an earlier version left behind, as far as this version knows them and the owner has not set them
// anew. trial names this try: while it stays the same, nothing is done again, and what the owner
// sets during the trial stays. It returns the names of the settings that are back.
//
// It writes into the trial's folder only, and the mark comes last.
func (s Store) beginTrial(onTrial, promoted slot.Name, trial string) (back []string, err error) {
	var mark begun
	if _, err := readState(s.path(onTrial, begunName), &mark); err == nil && mark.Trial == trial {
		return mark.Applied, nil
	}
	if err := s.makeFolder(onTrial); err != nil {
		return nil, err
	}
	for _, name := range []string{seedName, goodName} {
		if err := copyFile(s.path(promoted, name), s.path(onTrial, name)); err != nil {
			return nil, err
		}
	}
	raw, back, err := s.withLeftBehind(promoted)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		err = remove(s.path(onTrial, fileName))
	} else {
		err = writeIfChanged(s.path(onTrial, fileName), raw)
	}
	if err != nil {
		return nil, err
	}
	return back, writeState(s.path(onTrial, begunName), begun{format, trial, string(promoted), back})
}

// withLeftBehind gives the file that the promoted slot goes by, with what was left behind; nil if
// there is none. Without anything to add, it is the owner's text as it stands.
func (s Store) withLeftBehind(promoted slot.Name) (raw []byte, back []string, err error) {
	base, raw, err := s.ranWith(promoted)
	if err != nil {
		return nil, nil, err
	}
	left, err := s.readLeft()
	if err != nil && !errors.Is(err, errNewer) {
		return nil, nil, err
	}
	items := base
	for _, l := range left.Settings {
		if l.isOutdated(base) || !l.isKnown() {
			continue
		}
		items = l.apply(items)
		back = append(back, l.name())
	}
	if len(back) == 0 {
		return raw, nil, nil
	}
	over := config.WriteItems(items)
	usable := func(file []byte) bool { return config.Judge(s.Defaults, fileName, file).Usable }
	if !usable(over) && (raw == nil || usable(raw)) {
		return raw, nil, nil // they do not go with what the owner has set since
	}
	return over, back, nil
}

// ranWith gives all items of the file that slot n goes by, also those that this version does not
// know, and the file itself: the last good one if the owner's is no JSON.
func (s Store) ranWith(n slot.Name) ([]config.Item, []byte, error) {
	for _, name := range []string{fileName, goodName} {
		path := s.path(n, name)
		raw, err := openfile.Read(path, config.MaxBytes)
		if err != nil {
			continue // missing or damaged: the next one, as Load does
		}
		if items, err := config.ReadItems(path, raw); err == nil {
			return firstOfEach(items), raw, nil
		}
	}
	return nil, nil, nil
}

// firstOfEach leaves out what is said twice.
func firstOfEach(items []config.Item) []config.Item {
	seen := map[string]bool{}
	return slices.DeleteFunc(items, func(i config.Item) bool {
		again := seen[i.Name()]
		seen[i.Name()] = true
		return again
	})
}

// copyFile copies one of a slot's files; without it, the copy goes, too.
func copyFile(from, to string) error {
	b, err := openfile.Read(from, config.MaxBytes)
	if err != nil { // missing, or damaged and worth nothing
		return remove(to)
	}
	return writeIfChanged(to, b)
}

// Promote ends a trial well: the running slot's settings are current, and what is in them is no
// longer left behind. Shared files are the promoted version's from here on.
func (s Store) Promote(running slot.Name) error {
	left, err := s.readLeft()
	if err == nil && len(left.Settings) > 0 {
		items, _, _ := s.ranWith(running)
		left.Settings = slices.DeleteFunc(left.Settings, func(l leftSetting) bool { return l.isOutdated(items) })
		err = s.writeLeft(left)
	}
	if err != nil && !errors.Is(err, errNewer) {
		return err
	}
	return remove(s.path(running, begunName))
}

// HandOver makes the slot to, which is about to be promoted by hand without a trial, begin with the
// settings of the slot from: at its start, by Settle.
func (s Store) HandOver(from, to slot.Name) error {
	if err := s.makeFolder(to); err != nil {
		return err
	}
	return writeState(s.path(to, begunName), begun{Format: format, From: string(from)})
}

// takeOver does what HandOver asked of the slot that runs, if it did.
func (s Store) takeOver(running slot.Name) ([]string, error) {
	var mark begun
	damaged, err := readState(s.path(running, begunName), &mark)
	if from := slot.Name(mark.From); err == nil && !damaged && mark.Trial == "" && from == running.Other() {
		return s.beginTrial(running, from, handedOver)
	}
	return nil, nil
}

// handedOver is the name of a trial that is none.
const handedOver = "(handed over)"

// fallBack ends a trial that failed: the settings in which the failed slot's file differs from the
// running one's are left behind, to come back with a later version (beginTrial). It returns their
// names, for the owner, and nil if no trial was begun. version is the one that failed.
//
// What is left behind is written first and the trial's mark goes after it: a power cut between the
// two does no harm.
func (s Store) fallBack(failed, running slot.Name, version string) ([]string, error) {
	markPath := s.path(failed, begunName)
	if _, err := os.Lstat(markPath); err != nil {
		return nil, nil
	}
	var mark begun
	damaged, err := readState(markPath, &mark)
	if err == nil && !damaged && mark.Trial == "" { // the power went before the promotion by hand
		return nil, remove(markPath)
	}
	left, err := s.readLeft()
	if errors.Is(err, errNewer) {
		err = fmt.Errorf("settings of the version that failed are not kept: %w", err)
		return nil, errors.Join(err, remove(markPath))
	}
	if err != nil {
		return nil, err
	}
	kept, _, _ := s.ranWith(running)
	gone, raw, _ := s.ranWith(failed)
	fresh := []leftSetting{}
	if raw != nil {
		fresh = difference(kept, gone)
	}
	// What had come back for the trial was the owner's to change there: what it ended with counts.
	left.Settings = slices.DeleteFunc(left.Settings, func(l leftSetting) bool {
		again := slices.ContainsFunc(fresh, func(f leftSetting) bool { return f.name() == l.name() })
		return again || slices.Contains(mark.Applied, l.name()) || l.isOutdated(kept)
	})
	left.Format, left.Version = format, version
	left.Settings = append(left.Settings, fresh...)
	if err := s.writeLeft(left); err != nil {
		return nil, err
	}
	var names []string
	for _, l := range fresh {
		names = append(names, l.name())
	}
	return names, remove(markPath)
}

// A leftSetting is one that a failed version had.
type leftSetting struct {
	Section string          `json:"section"`
	Key     string          `json:"key,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"` // nil: the owner took the key out
	Base    json.RawMessage `json:"base,omitempty"`  // what the slot that runs had instead; nil: nothing
}

// leftBehind is everything that was left behind.
type leftBehind struct {
	Format   int           `json:"format"`
	Version  string        `json:"version"` // the latest that failed
	Settings []leftSetting `json:"settings"`
}

func (l leftSetting) name() string { return config.Item{Section: l.Section, Key: l.Key}.Name() }

// isOutdated says that the owner has set the key since, or that it has this value already.
func (l leftSetting) isOutdated(items []config.Item) bool {
	now := valueOf(items, l.name())
	return !sameJSON(now, l.Base) || sameJSON(now, l.Value)
}

// isKnown says whether this version knows the key and takes the value.
func (l leftSetting) isKnown() bool {
	if l.Value == nil {
		return true
	}
	items, err := config.ReadItems(fileName, config.WriteItems([]config.Item{l.item()}))
	return err == nil && len(items) == 1 && items[0].Problem == nil
}

func (l leftSetting) item() config.Item {
	return config.Item{Section: l.Section, Key: l.Key, Value: l.Value}
}

func (l leftSetting) apply(items []config.Item) []config.Item {
	if l.Value != nil {
		return config.Overlay(items, []config.Item{l.item()})
	}
	return slices.DeleteFunc(slices.Clone(items), func(i config.Item) bool { return i.Name() == l.name() })
}

// difference gives what makes now of before.
func difference(before, now []config.Item) []leftSetting {
	list := []leftSetting{}
	for _, i := range now {
		if base := valueOf(before, i.Name()); !sameJSON(base, i.Value) {
			list = append(list, leftSetting{i.Section, i.Key, compact(i.Value), compact(base)})
		}
	}
	for _, i := range before {
		if valueOf(now, i.Name()) == nil {
			list = append(list, leftSetting{i.Section, i.Key, nil, compact(i.Value)})
		}
	}
	return list
}

func valueOf(items []config.Item, name string) json.RawMessage {
	at := slices.IndexFunc(items, func(i config.Item) bool { return i.Name() == name })
	if at < 0 {
		return nil
	}
	return items[at].Value
}

// sameJSON compares values but for blanks.
func sameJSON(a, b json.RawMessage) bool { return bytes.Equal(compact(a), compact(b)) }

func compact(v json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(v) == 0 || json.Compact(&b, v) != nil {
		return nil
	}
	return b.Bytes()
}

func (s Store) readLeft() (leftBehind, error) {
	var left leftBehind
	_, err := readState(s.shared(leftBehindName), &left)
	return left, err
}

func (s Store) writeLeft(left leftBehind) error {
	if len(left.Settings) == 0 {
		return remove(s.shared(leftBehindName))
	}
	return writeState(s.shared(leftBehindName), left)
}

// LeftBehind names the settings that the running slot does without, because a later version that
// failed had them.
func (s Store) LeftBehind(running slot.Name) []string {
	left, err := s.readLeft()
	if err != nil {
		return nil
	}
	items, _, _ := s.ranWith(running)
	var names []string
	for _, l := range left.Settings {
		if !l.isOutdated(items) {
			names = append(names, l.name())
		}
	}
	return names
}
