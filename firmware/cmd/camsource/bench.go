// camsource bench: what this board can encode, and which setting to use.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const benchUsage = `camsource bench measures what this machine can encode, without a camera.

  camsource bench [--input FILE.y4m|FILE.mjpeg] [--out result.json] [--json]
  camsource bench --compare a.json b.json                 what b changed against a

Ctrl-C ends it; what was measured so far is printed and kept.

Flags:
`

// benchOptions is the command line of bench, read and checked.
type benchOptions struct {
	config  bench.Config
	what    config.Bench
	out     string
	json    bool
	compare [2]string
}

// runBench measures or compares. Progress and errors go to stderr.
func runBench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseBench(args, stdout)
	if err != nil {
		return err
	}
	if o.compare[0] != "" {
		return compareBenches(stdout, o.compare)
	}
	_ = machine.CalmMonitor() // as when it streams, which tells why not
	o.config.Ask(o.what)
	o.config.Version = version
	o.config.Progress = func(s string) { fmt.Fprintln(stderr, "bench:", s) }
	if o.out != "" {
		o.config.Measured = func(r bench.Report) error { return r.Save(o.out) }
	}
	report, err := bench.Run(ctx, o.config)
	if err == nil && len(report.Rows) == 0 {
		return errors.New("bench: interrupted before the first row was measured")
	}
	if len(report.Rows) == 0 {
		return err
	}
	if o.out != "" { // once more, with how it ended
		err = errors.Join(err, report.Save(o.out))
	}
	if o.json {
		return errors.Join(err, json.NewEncoder(stdout).Encode(report))
	}
	return errors.Join(err, report.Print(stdout))
}

func compareBenches(w io.Writer, paths [2]string) error {
	var reports [2]bench.Report
	for i, path := range paths {
		var err error
		if reports[i], err = bench.Load(path); err != nil {
			return err
		}
	}
	return bench.Compare(w, reports[0], reports[1])
}

func parseBench(args []string, w io.Writer) (o benchOptions, err error) {
	f := o.flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(w, benchUsage)
			f.SetOutput(w)
			f.PrintDefaults()
			return o, err
		}
		return o, fmt.Errorf("%w: bench: %w", errUsage, err)
	}
	return o, o.check(f.Args())
}

// flags also sets what counts where none is given.
func (o *benchOptions) flags() *flag.FlagSet {
	o.config = bench.Defaults()
	c := &o.config
	f := flag.NewFlagSet("camsource bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.Input, "input", "", "measure with the pictures of `FILE.y4m` or FILE.mjpeg; default: a drawn pattern")
	f.StringVar(&o.out, "out", "", "keep the result in this `file`, after each row")
	f.BoolVar(&o.json, "json", false, "print one JSON object, which is a result file too")
	f.StringVar(&o.compare[0], "compare", "", "compare two result files: --compare `A.json` B.json")
	f.IntVar(&c.FPS, "fps", c.FPS, "pictures a second that the recommendation is for")
	f.Func("bitrate", "`bit/s` at 640x480 (default 600k); other sizes in proportion to the root of their pixels", func(s string) error {
		rate, err := config.ParseBitrate(s)
		c.Bitrate = encoder.Bitrate(rate)
		return err
	})
	f.Func("format", "what a camera would send: `YUYV`, MJPG or YU12 (default YUYV)", func(s string) (err error) {
		c.Format, err = pixfmt.Parse(s)
		if err == nil && !slices.Contains(bench.Formats(), c.Format) {
			err = fmt.Errorf("want one of %v", bench.Formats())
		}
		return err
	})
	o.what.AddFlags(f)
	return f
}

// check takes the second file of --compare and finds what flags alone do not show.
func (o *benchOptions) check(rest []string) error {
	if o.compare[0] != "" && len(rest) == 1 {
		o.compare[1] = rest[0]
		return nil
	}
	switch c := o.config; {
	case o.compare[0] != "":
		return fmt.Errorf("%w: bench --compare takes two files: --compare A.json B.json", errUsage)
	case len(rest) > 0:
		return fmt.Errorf("%w: bench: unexpected %q", errUsage, rest[0])
	case c.FPS < 1 || c.FPS > config.MaxFPS:
		return fmt.Errorf("%w: bench --fps %d: must be from 1 to %d", errUsage, c.FPS, config.MaxFPS)
	}
	return nil
}
