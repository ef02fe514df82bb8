// Package events keeps the last events of a board: why it started, what fell back, what was
// refused, what was repaired.
//
// They lie in two files of one folder, /perm/events on a board. An event is one line, which is
// appended and synced before Add returns: a power cut at any moment leaves the last Kept events
// that Add has taken, and at most one torn line, which every reader passes over. When a file has
// Kept events, the other one is emptied and written next.
//
// Process 1 alone writes; any user may read, so no text holds a secret. A line has at most maxLine
// bytes, a file at most Kept of them. On a card each event is wear: Add leaves out what only
// repeats the event before it, and what comes faster than a board can have news (see budget).
//
// The package starts nothing and imports of ours only atomicfile and openfile. The time is passed in;
// it is what the board's clock said, which may be wrong before the first answer of a time server, so
// the order of events is that of Seq.
package events

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Folder is where the events of a board are.
const Folder = "/perm/events"

// Kept is how many events survive whatever happens.
const Kept = 50

// What an event is about.
const (
	Boot       = "boot"        // the board started; the text says what ended the run before
	Panic      = "panic"       // the board started after a panic, or after a reset by the watchdog
	Trial      = "trial"       // a slot is tried
	Promotion  = "promotion"   // a slot is the one that boots from now on
	Fallback   = "fallback"    // a slot on trial was given up
	Refusal    = "refusal"     // an update was not taken
	LeftBehind = "left-behind" // settings that a version that was given up had
	Settings   = "settings"    // configuration taken, refused, restored, or not understood
	Perm       = "perm"        // the partition of what outlives updates was repaired, grown or emptied
)

// An Event is one thing that happened.
type Event struct {
	Seq  uint64    `json:"seq"` // counts up over all starts of the board
	At   time.Time `json:"at"`  // by the board's clock
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// A Log adds events to a folder. It may be used by several goroutines.
type Log struct {
	now func() time.Time

	mu      sync.Mutex // held while a file is written: Add is called a few times an hour
	dir     string
	kept    []Event // the last Kept, oldest first, also those that no file took
	next    uint64
	current int  // which file is written
	inFile  int  // events in it
	clean   bool // it is known to end with a whole line

	budget   budget // of events still to be written
	refusals budget // of those that strangers can cause
}

// Open reads what the folder has, and makes it if it is missing. A Log is always returned: with an
// error its events are kept in memory, and Add tries the folder again. now gives the board's clock.
func Open(dir string, now func() time.Time) (*Log, error) {
	l := &Log{dir: dir, now: now, next: 1,
		budget: newBudget(burst, refillPeriod, now()), refusals: newBudget(refusalBurst, refusalPeriod, now())}
	err := os.MkdirAll(dir, 0o755)
	lists := [2][]Event{}
	for i := range lists {
		list, readErr := readFile(filepath.Join(dir, fileName(i)))
		lists[i], err = list, errors.Join(err, readErr)
	}
	l.kept = merge(lists[0], lists[1])
	if n := len(l.kept); n > 0 {
		l.next = l.kept[n-1].Seq + 1
	}
	if newest(lists[1]) > newest(lists[0]) {
		l.current = 1
	}
	l.inFile = len(lists[l.current])
	return l, err
}

// Add writes an event and returns once it lasts. Texts are cut to maxText bytes. What was said
// last, and what is too much, is left out without an error. With one, the event is in memory only.
func (l *Log) Add(kind, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	e := Event{l.next, now.UTC().Truncate(time.Second), clean(kind, maxKind), clean(text, maxText)}
	of := &l.budget
	if kind == Refusal {
		of = &l.refusals
	}
	if n := len(l.kept); n > 0 && l.kept[n-1].repeats(e) || !of.take(now) {
		return nil
	}
	l.next++
	l.kept = lastOf(append(l.kept, e))
	if err := l.write(e); err != nil {
		return fmt.Errorf("event %q is not kept: %w", kind, err)
	}
	return nil
}

// Events gives the last Kept events, oldest first.
func (l *Log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// repeats says that e is the same again within repeatPause, in the same state of affairs.
func (last Event) repeats(e Event) bool {
	age := e.At.Sub(last.At)
	return last.Kind == e.Kind && last.Text == e.Text && e.Kind != Boot && age >= 0 && age < repeatPause
}

// repeatPause is how long the same news is none.
const repeatPause = time.Hour

// Read gives the last Kept events of a folder, oldest first. Files that are missing, damaged or no
// files give none: a reader shows what there is.
func Read(dir string) []Event {
	a, _ := readFile(filepath.Join(dir, fileName(0)))
	b, _ := readFile(filepath.Join(dir, fileName(1)))
	return merge(a, b)
}

// merge gives the last Kept of two files' events by number, each number once.
func merge(a, b []Event) []Event {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y Event) int { return cmp.Compare(x.Seq, y.Seq) })
	return lastOf(slices.CompactFunc(all, func(x, y Event) bool { return x.Seq == y.Seq }))
}

func lastOf(list []Event) []Event {
	return slices.Clone(list[max(len(list)-Kept, 0):])
}

func newest(list []Event) uint64 {
	var n uint64
	for _, e := range list {
		n = max(n, e.Seq)
	}
	return n
}
