//go:build linux

package losslab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTWCCIsAskedOfACamsourceThatKnowsItAndInItsScenarioOnly(t *testing.T) {
	program := func(help string) string {
		path := filepath.Join(t.TempDir(), "camsource")
		if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <<'END'\n"+help+"\nEND\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	knows, old := program("Flags:\n  -twcc\n    \toffer transport-wide feedback"), program("Flags:\n  -rtp HOST:PORT")
	for _, c := range []struct {
		name  string
		setup Setup
		in    Scenario
		rtx   bool
		want  string
	}{
		{"with TWCC", Setup{Camsource: knows}, Scenario{TWCC: true}, false, "--twcc"},
		{"of an older one", Setup{Camsource: old}, Scenario{TWCC: true}, false, ""},
		{"in another scenario", Setup{Camsource: knows}, Scenario{}, false, ""},
		{"given by hand", Setup{Camsource: old, CamsourceFlags: []string{"--twcc"}}, Scenario{TWCC: true}, false,
			"--twcc"},
		{"with RTX", Setup{Camsource: knows}, Scenario{TWCC: true}, true, "--rtx --twcc"},
	} {
		got, err := c.setup.camsourceFlags(c.in, c.rtx)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: flags = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := (Setup{Camsource: "/nonexistent"}).camsourceFlags(Scenario{TWCC: true}, false); err == nil {
		t.Error("a program that is not there was asked")
	}
}

func TestReceiverOffersWhatTheScenarioHas(t *testing.T) {
	has := func(s Scenario, rtx bool, word string) bool {
		return slices.ContainsFunc(receiverCommand(s, rtx),
			func(arg string) bool { return strings.Contains(arg, word) })
	}
	for _, c := range []struct {
		name string
		s    Scenario
		word string
		want bool
	}{
		{"AVPF", Scenario{}, "rtp-profile=avpf", true},
		{"AVPF", Scenario{}, "rtcp-fb-nack-pli", true},
		{"AVPF", Scenario{}, "extmap-5", false},
		{"TWCC", Scenario{TWCC: true}, "extmap-5=" + twccURI, true},
		{"AVP", Scenario{AVP: true}, "avpf", false},
		{"AVP", Scenario{AVP: true}, "rtcp-fb", false},
	} {
		for _, rtx := range []bool{false, true} {
			if got := has(c.s, rtx, c.word); got != c.want {
				t.Errorf("%s, RTX %v: %s in the line: %v, want %v", c.name, rtx, c.word, got, c.want)
			}
		}
	}
	if has(Scenario{}, false, "rtprtxreceive") || !has(Scenario{}, true, "rtprtxreceive") {
		t.Error("rtprtxreceive belongs to RTX, and to nothing else")
	}
}
