//go:build linux

// Command losslab runs camsource and GStreamer's own sender over bad links and prints
// what arrived. scripts/losslab calls it. Needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/farend/losslab"
)

const usage = `losslab measures senders over bad links, in network namespaces of its own.

  scripts/losslab [SCENARIO…] [flags]      default: clean loss5 jitter bottleneck-twcc bottleneck-avp

Flags:
`

type options struct {
	scenarios []losslab.Scenario
	sender    string // empty: all of a scenario
	seed      int64
	setup     losslab.Setup
	film      string
	json      string
	record    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "losslab:", err)
		os.Exit(2)
	}
	if err := runAll(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "losslab:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("losslab", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), usage); f.PrintDefaults() }
	seconds := f.Int("seconds", 0, "`length` of each run; default: the scenario's own")
	sender := f.String("sender", "all",
		"camsource, camsource-rtx (resends by RFC 4588), gstreamer (does so too) or all")
	more := f.String("camsource-flags", "", "more `flags` for camsource, separated by spaces")
	f.Int64Var(&o.seed, "seed", 0, "run this `seed` only; default: the scenario's own")
	f.StringVar(&o.setup.Camsource, "camsource", "out/amd64/camsource", "`program` to measure")
	f.StringVar(&o.film, "film", "", "y4m `file` of 640x480 (scripts/clip)")
	f.StringVar(&o.json, "json", "", "append each run to this `file`, one line of JSON")
	f.StringVar(&o.record, "record", "",
		"keep each run in this `folder` (docs/losslab) and draw its plots and table again")
	names, flags := splitScenarios(args)
	if err := f.Parse(flags); err != nil {
		return o, err
	}
	names = append(names, f.Args()...)
	if len(names) == 0 {
		names = []string{"clean", "loss5", "jitter", "bottleneck-twcc", "bottleneck-avp"}
	}
	var err error
	if o.scenarios, err = losslab.FindScenarios(names...); err != nil {
		return o, err
	}
	if *seconds > 0 {
		for i, s := range o.scenarios {
			o.scenarios[i] = s.Lasting(time.Duration(*seconds) * time.Second)
		}
	}
	o.setup.CamsourceFlags = strings.Fields(*more)
	switch *sender {
	case "all": // of each scenario
	case losslab.Camsource, losslab.CamsourceRTX, losslab.GStreamer:
		o.sender = *sender
	default:
		return o, fmt.Errorf("--sender %s: want camsource, camsource-rtx, gstreamer or all", *sender)
	}
	return o, nil
}

// splitScenarios takes scenarios from before the flags.
func splitScenarios(args []string) (names, flags []string) {
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		names, args = append(names, args[0]), args[1:]
	}
	return names, args
}

func runAll(ctx context.Context, o options, w io.Writer) error {
	dir, remove, err := losslab.MakeWorkFolder()
	if err != nil {
		return err
	}
	defer remove()
	o.setup.Dir = dir
	if o.setup.Clip, err = losslab.WriteClipFor(dir, o.film, o.scenarios); err != nil {
		return err
	}
	fmt.Fprint(w, losslab.TableHeading())
	for _, s := range o.scenarios {
		seeds := s.Seeds
		if o.seed != 0 {
			seeds = []int64{o.seed}
		}
		senders := s.Senders()
		if o.sender != "" {
			senders = []string{o.sender}
		}
		for _, seed := range seeds {
			for _, sender := range senders {
				if err := runOne(ctx, o, s, sender, seed, w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func runOne(ctx context.Context, o options, s losslab.Scenario, sender string, seed int64, w io.Writer) error {
	r, err := losslab.Run(ctx, o.setup, s, sender, seed)
	if err != nil {
		return err
	}
	fmt.Fprint(w, r)
	if o.record != "" {
		if err := losslab.Record(o.record, r); err != nil {
			return err
		}
	}
	if o.json == "" {
		return nil
	}
	f, err := os.OpenFile(o.json, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(r.WriteJSON(f), f.Close())
}
