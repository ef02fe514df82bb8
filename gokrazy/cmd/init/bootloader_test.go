package main

import (
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
)

func TestOldBootFirmwareIsNotTrustedWithATrial(t *testing.T) {
	for _, c := range []struct {
		name     string
		trial    board.Trial
		cells    map[string]uint32
		flaw     string
		explains bool // a trial that did not come to pass
	}{
		{"of 2021", board.Tryboot, map[string]uint32{"build-timestamp": 1619433600, "tryboot": 0}, "2021-04-26", false},
		{"of 2023", board.Tryboot, map[string]uint32{"build-timestamp": trybootSince, "tryboot": 0}, "", false},
		{"one that says nothing", board.Tryboot, nil, "", true},
		{"U-Boot decides", board.UBootTry, map[string]uint32{"build-timestamp": 1}, "", false},
		{"an unknown model", "", nil, "", false},
	} {
		cell := func(name string) (uint32, bool) { v, ok := c.cells[name]; return v, ok }
		if got := loaderFlaw(c.trial, cell); (got == "") != (c.flaw == "") || !strings.Contains(got, c.flaw) {
			t.Errorf("%s: flaw %q, want %q", c.name, got, c.flaw)
		}
		if got := missedTrial(c.trial, cell); (got != "") != c.explains {
			t.Errorf("%s: explained by %q, want an explanation: %t", c.name, got, c.explains)
		}
	}
}
