package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBenchKeysAndFlagsHaveTheSameBoundsAndWords(t *testing.T) {
	for _, c := range []struct{ name, key, value, flag, want string }{
		{"a speed that is too slow", "speeds", `[-8, -17]`, "-8,-17", "-17 must be a whole number from -16 to -1"},
		{"a speed that lets libvpx choose", "speeds", `[4]`, "4", "4 must be a whole number from -16 to -1"},
		{"half a speed", "speeds", `[-1.5]`, "-1.5", "-1.5 must be a whole number from -16 to -1"},
		{"more threads than libvpx has use for", "threads", `[1, 5]`, "1, 5", "5 must be a whole number from 1 to 4"},
		{"no thread", "threads", `[0]`, "0", "0 must be a whole number from 1 to 4"},
		{"odd sides", "sizes", `["320x241"]`, "320x241", `"320x241" must have even sides from 16 to 4096`},
		{"no size", "sizes", `["big"]`, "big", `"big" must be WIDTHxHEIGHT, such as 640x480`},
		{"too few pictures", "frames", `19`, "19", "must be a whole number from 20 to 100000"},
		{"too many", "frames", `100001`, "100001", "must be a whole number from 20 to 100000"},
		{"more than there is", "speeds", "[-1" + strings.Repeat(",-1", 16) + "]", "-1" + strings.Repeat(",-1", 16),
			"must be a list of 1 to 16, such as [-8, -12]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f", []byte(`{"bench": {"`+c.key+`": `+c.value+`}}`))
			if want := "f:1: bench." + c.key + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("in the file: %v, want %s", err, want)
			}
			var b Bench
			if err := flagged(t, b.settings(), c.key).Set(c.flag); err == nil || err.Error() != c.want {
				t.Errorf("as a flag: %v, want %s", err, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		`{"sizes": []}`:         `f:1: bench.sizes: must be a list of 1 to 16, such as ["320x240", "640x480"]`,
		`{"speeds": -8}`:        `f:1: bench.speeds: must be a list of 1 to 16, such as [-8, -12]`,
		`{"speeds": ["-8"]}`:    `f:1: bench.speeds: -8 must be a whole number from -16 to -1`,
		`{"sizes": [320]}`:      `f:1: bench.sizes: must be text in " "`,
		`{"frames": "300"}`:     `f:1: bench.frames: must be a whole number from 20 to 100000`,
		`{"size": ["320x240"]}`: `f:1: bench.size: unknown key (there are frames, once, sizes, speeds, threads)`,
	} {
		if _, err := Parse("f", []byte(`{"bench": `+text+`}`)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestBenchFlagsReadLists(t *testing.T) {
	var b Bench
	for name, text := range map[string]string{
		"sizes": "64x48, 320x240", "speeds": "-16,-1", "threads": "4", "frames": "20",
	} {
		if err := flagged(t, b.settings(), name).Set(text); err != nil {
			t.Fatal(err)
		}
	}
	want := Bench{Sizes: []Size{{64, 48}, {320, 240}}, Speeds: []int{-16, -1}, Threads: []int{4}, Frames: 20}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// flagged is the value of the setting with that flag.
func flagged(t *testing.T, settings []Setting, flag string) Value {
	t.Helper()
	for _, s := range settings {
		if s.Flag == flag {
			return s.Value
		}
	}
	t.Fatalf("there is no flag --%s", flag)
	return Value{}
}

// checkBench fails if a value is out of bounds that a board would measure with.
func checkBench(t *testing.T, b Bench) {
	t.Helper()
	within := func(what string, low, high int, all ...int) {
		for _, n := range all {
			if n < low || n > high {
				t.Errorf("%s %d, want %d to %d", what, n, low, high)
			}
		}
		if len(all) > 16 {
			t.Errorf("%d %s", len(all), what)
		}
	}
	within("speeds", -16, -1, b.Speeds...)
	within("threads", 1, 4, b.Threads...)
	for _, s := range b.Sizes {
		within("sizes", 16, 4096, s.Width, s.Height)
	}
	within("sizes", 1, 16, max(1, len(b.Sizes)))
	if b.Frames != 0 {
		within("frames", 20, 100_000, b.Frames)
	}
}
