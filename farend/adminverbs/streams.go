// camserver streams: what runs, and what became of the others.

package adminverbs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/store"
)

func newStreams(open Opener) *cobra.Command {
	return group("streams", "Streams: which run, how well, and how to stop one", newStreamsList(open),
		newStreamsStop(open))
}

// endedMax ended streams are listed: a page of them.
const endedMax = 100

func newStreamsList(open Opener) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Lists streams that run, as they were some seconds ago",
		Args: cobra.NoArgs}
	ended := cmd.Flags().Bool("ended", false, fmt.Sprintf("the last %d that ended instead", endedMax))
	return verb(open, cmd, func(ctx context.Context, j *job, _ []string) error {
		list, f := j.store.ActiveStreams, store.StreamFilter{}
		if *ended {
			list, f.Limit = j.store.EndedStreams, endedMax
		}
		all, err := list(ctx, f)
		if err != nil {
			return err
		}
		views := make([]api.Stream, 0, len(all))
		for _, s := range all {
			views = append(views, api.StreamOf(s))
		}
		return j.print(map[string]any{"streams": views}, func(line func(...any)) {
			line("ID", "BOARD", "CUSTOMER", "SERVER", "STATE", "FPS", "KBIT/S", "LOSS", "SINCE", "ENDED")
			for _, s := range all {
				line(append([]any{s.ID, s.Source.String(), s.Customer, s.Server}, j.figures(s)...)...)
			}
		})
	})
}

func (j *job) figures(s store.Stream) []any {
	over := ""
	if !s.Ended.IsZero() {
		over = j.ago(s.Ended) + " ago: " + s.Because
	}
	if s.StatsAt.IsZero() {
		return []any{"-", "-", "-", "-", j.ago(s.Since), over}
	}
	return []any{s.Stats.State, fmt.Sprintf("%.1f", s.Stats.FPS), fmt.Sprintf("%.0f", s.Stats.Bitrate/1000),
		fmt.Sprintf("%.1f %%", s.Stats.Loss*100), j.ago(s.Since), over}
}

func newStreamsStop(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "stop ID…", Short: "Stops streams", Args: cobra.MinimumNArgs(1),
		Long: "Stops streams. The camera stops when it asks next whether it may go on, within a minute unless\n" +
			"the server's keepalive says otherwise, and may ask for another stream:\n" +
			"camserver boards disable keeps it away.",
	}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		var failed error
		var stopped []string
		for _, id := range args {
			if err := j.stop(ctx, id); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			stopped = append(stopped, id)
		}
		return errors.Join(j.print(map[string]any{"stopped": stopped}, func(line func(...any)) {
			for _, id := range stopped {
				line("stopped " + id)
			}
		}), failed)
	})
}

func (j *job) stop(ctx context.Context, id string) error {
	const because = "stopped by an administrator"
	s, err := j.store.StreamByID(ctx, id)
	if err == nil {
		err = j.store.EndStream(ctx, id, because, time.Now())
	}
	if errors.Is(err, store.ErrUnknown) {
		return fmt.Errorf("no stream %s runs: camserver streams list shows those that do", id)
	}
	if err != nil {
		return err
	}
	return j.note(ctx, store.Event{Customer: s.Customer, Source: s.Source, Stream: id, Kind: "ended", Words: because})
}
