// camctl update for many boards: some at a time, each once, with a state file that a later call goes on
// with. What happens to each board is package fleet's.

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/gokrazy/fleet"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// fleetOptions are the flags about many boards.
type fleetOptions struct {
	hosts     string
	state     string
	atOnce    int
	stopAfter int
}

// fleetFlags make an update one of many boards.
var fleetFlags = []string{"hosts", "at-once", "stop-after", "state"}

func (o *fleetOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.hosts, "hosts", "", "a `file` of boards, one HOST or HOST:PORT a line")
	f.IntVar(&o.atOnce, "at-once", 4, "boards at a time, with --hosts")
	f.IntVar(&o.stopAfter, "stop-after", 0,
		"begin no board any more once `N` boards fell back, or took the update and fell silent;\n0: whatever happens")
	f.StringVar(&o.state, "state", "",
		"`file` that keeps what became of each board, so that the same command goes on after an interruption\n"+
			"(default with --hosts: its name, the version and .state)")
	for _, name := range []string{"at-once", "stop-after"} {
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// isWanted says whether this is about many boards.
func (o *fleetOptions) isWanted(cmd *cobra.Command) bool {
	return slices.ContainsFunc(fleetFlags, cmd.Flags().Changed)
}

// check finds what cobra cannot see.
func (o *fleetOptions) check(with *access) error {
	if o.atOnce < 1 {
		return usagef("--at-once %d: must be 1 or more", o.atOnce)
	}
	if o.stopAfter < 0 {
		return usagef("--stop-after %d: must be 0 or more", o.stopAfter)
	}
	if with.fingerprint != "" {
		return usagef("--fingerprint is one board's: leave out %s", "--"+strings.Join(fleetFlags, ", --"))
	}
	return nil
}

// list gives the boards of the command line and of the file.
func (o *fleetOptions) list(args []string) ([]string, error) {
	if o.hosts == "" {
		return fleet.CheckHosts(args)
	}
	hosts, err := fleet.ReadHosts(o.hosts)
	if err != nil {
		return nil, fmt.Errorf("--hosts: %w", err)
	}
	return fleet.CheckHosts(append(slices.Clone(args), hosts...))
}

// updateFleet brings the bundle to many boards.
func updateFleet(cmd *cobra.Command, o *fleetOptions, with *access, args []string, bundle *update.Bundle,
	asJSON bool) error {
	hosts, err := o.list(args)
	if err != nil {
		return err
	}
	password, err := with.password(cmd, true)
	if err != nil {
		return err
	}
	known, err := remote.OpenUsersKnown()
	if err != nil {
		return err
	}
	if o.state == "" && o.hosts != "" {
		o.state = o.hosts + "." + bundle.Manifest.Version + ".state"
	}
	if o.state != "" {
		unlock, err := lock.File(o.state + ".lock")
		if errors.Is(err, lock.ErrHeld) {
			return fmt.Errorf("another camctl update uses %s", o.state)
		}
		if err != nil {
			return fmt.Errorf("--state: %w", err)
		}
		defer unlock()
	}
	show := newFleetShow(cmd, asJSON, len(hosts))
	summary, err := fleet.Run(cmd.Context(), fleet.Config{
		Hosts: hosts, Bundle: bundle, AtOnce: o.atOnce, StopAfter: o.stopAfter, State: o.state,
		Report: show.report,
		Connect: func(ctx context.Context, host string) (fleet.Board, error) {
			return connectKnown(ctx, known, host, password)
		},
	})
	show.end(summary)
	return explainFleet(summary, o.state, err)
}

// connectKnown is access.client where nobody sits at each board: one whose certificate is not known yet is
// left out.
func connectKnown(ctx context.Context, known *remote.Known, host, password string) (*remote.Client, error) {
	seen, recognised, err := known.Look(ctx, host)
	if err != nil {
		return nil, err
	}
	if !recognised {
		return nil, fmt.Errorf("%s: its certificate is not known here: camctl status %[1]s asks about it once", host)
	}
	return &remote.Client{Host: host, Fingerprint: seen, Password: password, Once: true}, nil
}

// explainFleet makes an error of every end but that all boards have the version.
func explainFleet(s fleet.Summary, state string, err error) error {
	again := "the same command goes on"
	if state == "" {
		again = "the same command asks every board again"
	}
	good := s.Ends[fleet.Promoted] + s.Ends[fleet.Already]
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %d of %d boards run %s; boards that took it go on by themselves; %s",
			good, s.Boards, printable(s.Version), again)
	case err != nil:
		return err
	case s.Stopped && s.Left() > 0:
		silent := ""
		if n := s.Ends[fleet.Unknown]; n > 0 {
			silent = fmt.Sprintf(", %d took it and fell silent", n)
		}
		return fmt.Errorf("stopped: %d boards fell back from %s%s, %d were not begun; once that is mended, %s "+
			"with a larger --stop-after",
			s.Ends[fleet.FellBack], printable(s.Version), silent, s.Left(), again)
	case !s.IsGood():
		return fmt.Errorf("%d of %d boards do not run %s; those that it could not be brought to: %s",
			s.Boards-good, s.Boards, printable(s.Version), again)
	}
	return nil
}
