// Package adminverbs has the verbs by which an administrator works on a server's database: keys, boards,
// streams, backup. They need no server that runs, and do no harm to one that does: it sees what they changed
// with the next request, and ends within a second what may not go on.
//
// Each verb opens the database, does one thing and closes it. What people read goes to stdout as a table, with
// --json as one object; what went wrong is the error.
package adminverbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/store"
)

// An Opener gives a verb the flags that say where the database is, and what opens it by them.
type Opener func(cmd *cobra.Command) func(context.Context) (*store.Store, error)

// Commands are the verbs, each with verbs of its own but backup.
func Commands(open Opener) []*cobra.Command {
	return []*cobra.Command{newKeys(open), newStreams(open), newBoards(open), newBackup(open)}
}

// group is a verb that is nothing without one of its own.
func group(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(verbs...)
	return cmd
}

// A job is one call of a verb.
type job struct {
	*cobra.Command
	store *store.Store
	now   time.Time
	json  bool
}

// verb makes a command that runs with the database open.
func verb(open Opener, cmd *cobra.Command, run func(ctx context.Context, j *job, args []string) error) *cobra.Command {
	toStore := open(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		s, err := toStore(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		return explain(run(cmd.Context(), &job{cmd, s, time.Now().UTC(), *asJSON}, args))
	}
	return cmd
}

// explain adds to an error of the store what to do.
func explain(err error) error {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%w: --config, --state or --database say where it is", err)
	case errors.Is(err, store.ErrExists):
		return fmt.Errorf("%w: choose another name", err)
	}
	return err
}

// print prints v as JSON, or else what text writes, in columns between tabs.
func (j *job) print(v any, text func(line func(cells ...any))) error {
	if j.json {
		e := json.NewEncoder(j.OutOrStdout())
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(j.OutOrStdout(), 0, 0, 2, ' ', 0)
	text(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

// note keeps an event of what was done.
func (j *job) note(ctx context.Context, e store.Event) error {
	e.At, e.Words = j.now, strings.TrimSpace(e.Words+" (command line)")
	return j.store.AddEvent(ctx, e)
}

// ago is how long something has been, in one unit.
func (j *job) ago(t time.Time) string {
	d := j.now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
