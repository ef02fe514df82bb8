package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressIsALineForEachTenth(t *testing.T) {
	var out bytes.Buffer
	report := progress(&out)
	for i := int64(1); i <= 1000; i++ {
		report("writing", i<<20, 1000<<20)
	}
	if n := strings.Count(out.String(), "\n"); n != 11 {
		t.Errorf("%d lines: %s", n, out.String())
	}
}

func TestBarIsDrawnOverItselfAndEndsEachStepWithALine(t *testing.T) {
	var out bytes.Buffer
	at := time.Unix(0, 0)
	report := bar(&out, func() time.Time { return at })
	for _, step := range []string{"writing", "reading back"} {
		for i := int64(1); i <= 1000; i++ { // 100 MiB/s
			at = at.Add(10 * time.Millisecond)
			report(step, i<<20, 1000<<20)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want one for each step: %q", len(lines), lines)
	}
	for i, begin := range []string{"writing      [", "reading back ["} {
		drawn := strings.Split(lines[i], "\r")
		if len(drawn) < 90 || len(drawn) > 110 { // ten a second for ten seconds
			t.Errorf("drawn %d times in 10 s", len(drawn))
		}
		half, last := drawn[len(drawn)/2], drawn[len(drawn)-1]
		if !strings.HasPrefix(last, begin+strings.Repeat("#", barCells)+"] 100% 1000 of 1000 MiB") {
			t.Errorf("last: %q", last)
		}
		if !strings.Contains(half, "] ") || !strings.Contains(half, ", 100 MiB/s, 0:05 left") ||
			!strings.Contains(half, "# ") {
			t.Errorf("in the middle: %q", half)
		}
		for _, d := range drawn {
			if len(d) != len(last) || len(d) > 79 {
				t.Errorf("%q does not cover %q", d, last)
				break
			}
		}
	}
}
