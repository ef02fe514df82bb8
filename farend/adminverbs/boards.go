// camserver boards: cameras with their boards.

package adminverbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func newBoards(open Opener) *cobra.Command {
	return group("boards", "Boards with their cameras: facts, names, which may stream",
		newBoardsList(open), newBoardsShow(open), newBoardsRename(open),
		newBoardsSwitch(open, "enable", "Lets boards stream again", true),
		newBoardsSwitch(open, "disable", "Keeps boards from streaming; what runs ends within seconds", false))
}

func newBoardsList(open Opener) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Lists boards", Args: cobra.NoArgs}
	of := cmd.Flags().String("of", "", "only those of this customer, by `NAME` or ID")
	return verb(open, cmd, func(ctx context.Context, j *job, _ []string) error {
		f := store.SourceFilter{}
		if *of != "" {
			c, err := j.customer(ctx, *of)
			if err != nil {
				return err
			}
			f.Customer = c.ID
		}
		all, running, err := j.boards(ctx, f)
		if err != nil {
			return err
		}
		views := make([]api.Source, 0, len(all))
		for _, s := range all {
			views = append(views, api.SourceOf(s, running[s.ID]))
		}
		return j.print(map[string]any{"boards": views}, func(line func(...any)) {
			line("ID", "NAME", "CUSTOMER", "ENABLED", "RUNS", "USED", "SERIAL", "MODEL", "VERSION")
			for _, s := range all {
				line(s.ID.String(), s.Name, s.Customer, yesNo(s.Enabled), yesNo(running[s.ID] != ""), j.ago(s.Used),
					s.Board.Serial, s.Board.Model, s.Board.Version)
			}
		})
	})
}

// boards lists all of a filter, part after part, and which stream each has now.
func (j *job) boards(ctx context.Context, f store.SourceFilter) ([]store.Source, map[wire.ID]string, error) {
	var all []store.Source
	for f.Limit = 1000; ; {
		part, err := j.store.Sources(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, part...)
		if len(part) < f.Limit {
			break
		}
		f.After = part[len(part)-1].ID
	}
	streams, err := j.store.ActiveStreams(ctx, store.StreamFilter{Customer: f.Customer})
	running := map[wire.ID]string{}
	for _, s := range streams {
		running[s.Source] = s.ID
	}
	return all, running, err
}

// board finds one by its id, name or serial number.
func (j *job) board(ctx context.Context, named string) (store.Source, error) {
	s, err := j.store.SourceByID(ctx, api.SourceID(named))
	if !errors.Is(err, store.ErrUnknown) {
		return s, err
	}
	all, _, err := j.boards(ctx, store.SourceFilter{})
	if err != nil {
		return store.Source{}, err
	}
	var found []string
	for _, one := range all {
		if one.Name == named || one.Board.Serial == named {
			s, found = one, append(found, one.ID.String())
		}
	}
	switch len(found) {
	case 0:
		return s, fmt.Errorf("no board has the id, name or serial number %q: camserver boards list shows all", named)
	case 1:
		return s, nil
	}
	return s, fmt.Errorf("%d boards are called %q: name one by its id: %s", len(found), named,
		strings.Join(found, ", "))
}

func newBoardsShow(open Opener) *cobra.Command {
	cmd := &cobra.Command{Use: "show BOARD", Short: "Shows what is known of a board, by its id, name or serial number",
		Args: cobra.ExactArgs(1)}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		s, err := j.board(ctx, args[0])
		if err != nil {
			return err
		}
		running, err := j.store.ActiveStream(ctx, s.ID)
		if err != nil && !errors.Is(err, store.ErrUnknown) {
			return err
		}
		facts, err := json.MarshalIndent(s.Board, "", "  ")
		if err != nil {
			return err
		}
		return j.print(api.SourceOf(s, running.ID), func(line func(...any)) {
			line("id", s.ID.String())
			line("name", s.Name)
			line("customer", s.Customer)
			line("enabled", yesNo(s.Enabled))
			line("stream", running.ID)
			line("made", j.ago(s.Made)+" ago")
			line("used", j.ago(s.Used))
			line("said", j.ago(s.BoardAt))
			line(string(facts))
		})
	})
}

func newBoardsRename(open Opener) *cobra.Command {
	cmd := &cobra.Command{Use: `rename BOARD NAME`, Short: `Names a board; "" takes its name away`,
		Args: cobra.ExactArgs(2)}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		s, err := j.board(ctx, args[0])
		if err != nil {
			return err
		}
		s, err = j.store.ChangeSource(ctx, s.ID, func(s *store.Source) error {
			s.Name = strings.TrimSpace(args[1])
			return api.CheckSource(*s)
		})
		if err != nil {
			return err
		}
		return j.printChanged(ctx, s, "name", fmt.Sprintf("%s is named %q", s.ID, s.Name))
	})
}

func (j *job) printChanged(ctx context.Context, s store.Source, what, words string) error {
	err := j.note(ctx, store.Event{Customer: s.Customer, Source: s.ID, Kind: "source changed", Words: what})
	return errors.Join(err, j.print(api.SourceOf(s, ""), func(line func(...any)) { line(words) }))
}

func newBoardsSwitch(open Opener, name, short string, enabled bool) *cobra.Command {
	cmd := &cobra.Command{Use: name + " BOARD", Short: short, Args: cobra.ExactArgs(1)}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		s, err := j.board(ctx, args[0])
		if err != nil {
			return err
		}
		s, err = j.store.ChangeSource(ctx, s.ID, func(s *store.Source) error { s.Enabled = enabled; return nil })
		if err != nil {
			return err
		}
		return j.printChanged(ctx, s, "enabled", s.ID.String()+" is "+name+"d")
	})
}
