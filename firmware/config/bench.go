// The section bench: what is measured. The flags of `camsource bench` are the same keys
// with the same bounds and words, so they are made here.

package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"strings"
)

// Bench says whether the board measures itself before it streams, and what. What is left
// out is what `camsource bench` takes without flags.
type Bench struct {
	Once    bool // once for each version of camsource and each other wish below
	Sizes   []Size
	Speeds  []int // negative, as encoder.Config has them
	Threads []int
	Frames  int // pictures for each row
}

// Bounds of a bench. Speed and threads are the encoder's own (a test of package bench
// compares them). Fewer pictures measure nothing; more take an hour a row on a BeagleBone.
const (
	minFrames, maxFrames   = 20, 100_000
	minSpeed, maxSpeed     = -16, -1
	minThreads, maxThreads = 1, 4
	// mostItems of a list: 16 speeds are all that there are.
	mostItems = 16
)

func (b *Bench) keys() section {
	return section{
		"once":    boolean(&b.Once),
		"sizes":   few(&b.Sizes, `["320x240", "640x480"]`, func(s *Size) taker { return text(nil, s.Set) }),
		"speeds":  wholes(&b.Speeds, minSpeed, maxSpeed, "[-8, -12]"),
		"threads": wholes(&b.Threads, minThreads, maxThreads, "[1, 2]"),
		"frames":  number(&b.Frames, minFrames, maxFrames),
	}
}

// AddFlags makes the flags of `camsource bench` that are keys of the file too.
func (b *Bench) AddFlags(f *flag.FlagSet) {
	keys := b.keys()
	add := func(name, usage string, value func(string) any) {
		f.Func(name, usage, func(s string) error { return keys[name](value(s)) })
	}
	add("sizes", "`WIDTHxHEIGHT,…` (default 320x240,640x480,1280x720)", commas(func(s string) any { return s }))
	add("speeds", "`-N,…`, -1 to -16 (default -4,-8,-12,-16)", commas(asNumber))
	add("threads", "`N,…`, 1 to 4 (default 1,2; 1 on a single core)", commas(asNumber))
	add("frames", "pictures for each row, a `number` from 20 to 100000 (default 300)", asNumber)
}

func asNumber(s string) any { return json.Number(s) }

// commas makes a list of "a, b".
func commas(item func(string) any) func(string) any {
	return func(s string) any {
		var list []any
		for part := range strings.SplitSeq(s, ",") {
			list = append(list, item(strings.TrimSpace(part)))
		}
		return list
	}
}

// wholes takes a few whole numbers.
func wholes(to *[]int, low, high int, example string) taker {
	return few(to, example, func(n *int) taker {
		return func(value any) error {
			if err := number(n, low, high)(value); err != nil {
				return fmt.Errorf("%v %w", value, err)
			}
			return nil
		}
	})
}

// few takes a list that is neither empty nor long.
func few[T any](to *[]T, example string, one func(*T) taker) taker {
	return func(value any) error {
		if list, ok := value.([]any); ok && (len(list) == 0 || len(list) > mostItems) {
			return fmt.Errorf("must be a list of 1 to %d, such as %s", mostItems, example)
		}
		return items(to, example, one)(value)
	}
}
