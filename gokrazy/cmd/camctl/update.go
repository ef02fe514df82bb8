// camctl update: brings a signed bundle to boards, and says how each update ends.

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A boardReport is what became of one board.
type boardReport struct {
	Host string `json:"host"`
	remote.Outcome
	Error string `json:"error,omitempty"`
}

// An updateJob is one command line.
type updateJob struct {
	bundleFile string
	with       access
	many       fleetOptions
	asJSON     *bool
}

func newUpdateCommand() *cobra.Command {
	var job updateJob
	cmd := &cobra.Command{
		Use:   "update HOST…",
		Short: "Brings a signed update to boards and waits until each has kept it or gone back",
		Long: "Brings a signed update to boards, one after another, and waits until each has kept the new version\n" +
			"or has gone back to the old one. Only what a board lacks is sent; a second call goes on where the\n" +
			"first was interrupted. It ends at the first board that does not keep the new version.\n\n" +
			"With --hosts, or one of --at-once, --stop-after and --state, some boards are updated at a time. What\n" +
			"became of each is kept in a file before the next step is taken: the same command goes on after an\n" +
			"interruption, and no board gets the update twice. --json then prints a line for each board that has\n" +
			"ended, and a last one with the sums.",
		Args: func(cmd *cobra.Command, args []string) error {
			if job.many.hosts != "" {
				return nil
			}
			return atLeastOne("HOST")(cmd, args)
		},
	}
	cmd.Flags().StringVar(&job.bundleFile, "bundle", "", "the update's `FILE`, as camctl bundle makes it")
	if err := cmd.MarkFlagRequired("bundle"); err != nil {
		cobra.CheckErr(err)
	}
	job.with.add(cmd)
	job.many.add(cmd)
	job.asJSON = addJSONFlag(cmd)
	cmd.RunE = job.run
	return cmd
}

func (j *updateJob) run(cmd *cobra.Command, hosts []string) error {
	many := j.many.isWanted(cmd)
	if many {
		if err := j.many.check(&j.with); err != nil {
			return err
		}
	} else if j.with.fingerprint != "" && len(hosts) > 1 {
		return errOneHost
	}
	bundle, closeBundle, err := openBundle(j.bundleFile)
	if err != nil {
		return err
	}
	defer closeBundle()
	if many {
		return updateFleet(cmd, &j.many, &j.with, hosts, bundle, *j.asJSON)
	}
	return j.oneAfterAnother(cmd, hosts, bundle)
}

// oneAfterAnother ends at the first board that does not keep the version.
func (j *updateJob) oneAfterAnother(cmd *cobra.Command, hosts []string, bundle *update.Bundle) (err error) {
	var reports []boardReport
	for _, host := range hosts {
		var report boardReport
		report, err = updateBoard(cmd, &j.with, host, bundle)
		reports = append(reports, report)
		if err != nil {
			break
		}
		if !*j.asJSON {
			fmt.Fprintln(cmd.OutOrStdout(), report)
		}
	}
	if *j.asJSON {
		err = errors.Join(err, printJSON(cmd, map[string]any{"boards": reports}))
	}
	return err
}

// atLeastOne is for a verb with one or more arguments of a kind.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return missingError{[]string{name}}
		}
		return nil
	}
}

// openBundle reads a bundle's manifest. The parts stay in the file.
func openBundle(path string) (*update.Bundle, func(), error) {
	f, err := openfile.File(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	bundle, err := update.OpenBundle(f, info.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return bundle, func() { _ = f.Close() }, nil
}

// updateBoard updates one board. The error says why it does not run the new version.
func updateBoard(cmd *cobra.Command, with *access, host string, bundle *update.Bundle) (boardReport, error) {
	report := boardReport{Host: host}
	report.Version, report.Index = bundle.Manifest.Version, bundle.Manifest.Index
	client, err := with.client(cmd, host, true)
	if err == nil {
		show := updateProgress(cmd.ErrOrStderr(), host)
		report.Outcome, err = client.Update(cmd.Context(), bundle, show.step)
		show.end()
	}
	err = explainUpdate(host, report.Outcome, err)
	if err != nil {
		report.Error = oneLine(err)
	}
	return report, err
}

// explainUpdate makes an error of each outcome but the good ones.
func explainUpdate(host string, o remote.Outcome, err error) error {
	switch {
	case errors.Is(err, context.Canceled) && o.Result == remote.ResultUnknown:
		return fmt.Errorf("%s: the board has the update and goes on by itself: camctl status %[1]s shows how it ends",
			host)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: interrupted: what was sent is kept there, the same command goes on", host)
	case err != nil:
		return err
	case o.Result == remote.ResultFellBack:
		return fmt.Errorf("%s: fell back to %s: %s", host, o.Before, printable(o.Reason))
	case o.Result == remote.ResultNotJudged:
		return fmt.Errorf("%[1]s: not judged, and back on %[2]s, since neither version works at present: %[3]s; "+
			"the board tries %[4]s again by itself, camctl promote %[1]s keeps it",
			host, o.Before, printable(o.Reason), o.Version)
	case o.Result == remote.ResultGivenUp:
		return fmt.Errorf("%[1]s: the board gave %[4]s up, and is back on %[2]s, since neither version worked: %[3]s; "+
			"once that is mended, the same command tries it again, camctl promote %[1]s starts it for good",
			host, o.Before, printable(o.Reason), o.Version)
	}
	return nil
}

// String is the line for an owner.
func (r boardReport) String() string {
	if r.Result == remote.ResultAlready {
		return fmt.Sprintf("%s: runs %s already", r.Host, printable(r.Version))
	}
	return fmt.Sprintf("%s: %s: %s runs in slot %s, before it %s; %.1f MB sent, %.0f s", r.Host, r.Result,
		printable(r.Version), printable(r.Slot), printable(r.Before), float64(r.Sent)/1e6, r.Seconds)
}
