package main

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSavingMakesRoomOnceWhereTheDiskIsFull(t *testing.T) {
	full := fmt.Errorf("trial.json: %w", unix.ENOSPC)
	broken, noRoom := errors.New("input/output error"), errors.New("nothing is left that could go")
	for _, c := range []struct {
		name    string
		saves   []error // of one attempt each
		roomErr error
		removed string
		want    error
	}{
		{"there is room", []error{nil}, nil, "", nil},
		{"the card is broken", []error{broken}, nil, "", broken},
		{"room is made", []error{full, nil}, nil, "the spool", nil},
		{"no room can be made", []error{full}, noRoom, "the spool", noRoom},
		{"it is full at once again", []error{full, full}, nil, "the spool", unix.ENOSPC},
	} {
		saves := 0
		save := func() error { saves++; return c.saves[saves-1] }
		removed, err := saveWithRoom(save, func() (string, error) { return "the spool", c.roomErr })
		if saves != len(c.saves) || removed != c.removed || !errors.Is(err, c.want) {
			t.Errorf("%s: %d saves, removed %q, %v", c.name, saves, removed, err)
		}
	}
}
