package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressIsALineASecond(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	say := printProgress(&out, func() time.Time { return now })
	for i := range int64(25) {
		say("check", i+1, 25)
		now = now.Add(progressInterval / 10)
	}
	say("check", 25, 25)
	say("write-root", 1, 2)
	want := "check 1 11 21 25 write-root 1"
	var got []string
	step := ""
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if name := strings.TrimPrefix(fields[2], "step="); name != step {
			step = name
			got = append(got, name)
		}
		got = append(got, strings.TrimPrefix(fields[3], "done="))
	}
	if text := strings.Join(got, " "); text != want {
		t.Errorf("lines %q, want %q", text, want)
	}
}
