// camsource bench: what this board can encode, and which setting to use.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// benchOptions is the command line of bench.
type benchOptions struct {
	config  bench.Config
	given   givenSettings
	out     string
	json    bool
	compare string // the first of two result files
}

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measures what this machine can encode, without a camera",
		Long: "Measures what this machine can encode, without a camera, and says which size, speed and\n" +
			"threads to use. Ctrl-C ends it; what was measured so far is printed and kept.",
		Example: "  camsource bench --out result.json\n" +
			"  camsource bench --compare a.json b.json                 what b changed against a",
	}
	o := addBenchOptions(cmd)
	cmd.Args = o.checkArguments
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.compare != "" {
			return compareBenches(cmd.OutOrStdout(), o.compare, args[0])
		}
		return runBench(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// runBench measures. Progress and errors go to stderr.
func runBench(ctx context.Context, o *benchOptions, stdout, stderr io.Writer) error {
	_ = machine.CalmMonitor() // as when it streams, which says why not
	var c config.Config
	if err := o.given.override(&c, true); err != nil {
		return err
	}
	o.config.Override(c.Bench)
	o.config.Version = version
	o.config.Progress = func(s string) { fmt.Fprintln(stderr, "bench:", s) }
	if o.out != "" {
		if err := atomicfile.CheckWrite(o.out); err != nil { // before an hour is spent
			return fmt.Errorf("--out: %w", err)
		}
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

func compareBenches(w io.Writer, paths ...string) error {
	var reports [2]bench.Report
	for i, path := range paths {
		var err error
		if reports[i], err = bench.Load(path); err != nil {
			return err
		}
	}
	return bench.Compare(w, reports[0], reports[1])
}

// addBenchOptions makes the flags of bench, with what counts where one is not given.
func addBenchOptions(cmd *cobra.Command) *benchOptions {
	o := &benchOptions{config: bench.Defaults()}
	c, f := &o.config, cmd.Flags()
	f.SortFlags = false
	f.StringVar(&c.Input, "input", "",
		"measure with the pictures of `FILE.y4m` or FILE.mjpeg; default: a drawn pattern")
	f.StringVar(&o.out, "out", "", "keep the result in this `FILE`, after each row")
	f.BoolVar(&o.json, "json", false, "print one JSON object, which is a result file, too")
	f.StringVar(&o.compare, "compare", "", "compare two result files: --compare `A.json` B.json")
	f.IntVar(&c.FPS, "fps", c.FPS, "pictures per second that the recommendation is for")
	f.Func("bitrate", "`BIT/S` at 640x480, other sizes by the root of their pixels; default: 600k",
		func(s string) error {
			rate, err := config.ParseBitrate(s)
			c.Bitrate = encoder.Bitrate(rate)
			return err
		})
	f.Func("format", "what a camera would send: `YUYV`, MJPG or YU12; default: YUYV", func(s string) (err error) {
		c.Format, err = pixfmt.Parse(s)
		if err == nil && !slices.Contains(bench.Formats(), c.Format) {
			err = fmt.Errorf("must be one of %v", bench.Formats())
		}
		return err
	})
	o.given = addSettingFlags(cmd, true)
	for _, name := range []string{"fps", "bitrate"} {
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	formats := cobra.FixedCompletions([]cobra.Completion{"YUYV", "MJPG", "YU12"}, cobra.ShellCompDirectiveNoFileComp)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("format", formats))
	return o
}

// checkArguments finds what flags alone do not show. --compare has its second file behind it.
func (o *benchOptions) checkArguments(cmd *cobra.Command, args []string) error {
	switch c := o.config; {
	case o.compare != "" && len(args) != 1:
		return fmt.Errorf("%w: --compare takes two files: --compare A.json B.json", errUsage)
	case o.compare != "":
		return nil
	case c.FPS < 1 || c.FPS > config.MaxFPS:
		return fmt.Errorf("%w: --fps %d: must be from 1 to %d", errUsage, c.FPS, config.MaxFPS)
	}
	return noArguments(cmd, args)
}
