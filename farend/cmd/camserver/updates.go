// camserver updates: which update which boards are offered, for all servers of a database.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/bundle"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// updatesFolder, in the state folder, has the bundles that this server serves.
const updatesFolder = "updates"

// newRollouts offers what the database says, and serves what lies in the state folder. Behind a load
// balancer it is that one which has https.
func newRollouts(st *store.Store, s settings.Settings, log *slog.Logger) *rollout.Rollouts {
	return rollout.NewRollouts(rollout.RolloutsConfig{
		Store: st, Open: bundle.Folder(filepath.Join(s.State.Folder, updatesFolder)), BoardOf: bundle.BoardOf,
		Secure: s.Gateway.TLS || len(s.Gateway.Proxies) > 0, Log: log,
	})
}

func newUpdatesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "updates",
		Short: "Offer updates to boards",
		Long: "updates lists, adds, changes and removes offers of updates: which signed bundle boards may fetch\n" +
			"from the servers, and which boards. What one says here counts for all servers of the database\n" +
			"within a second. With several servers, each needs the file: call \"add\" with the same bundle on\n" +
			"each, or --url once.",
		Example: updatesExamples,
	}
	cmd.AddCommand(newUpdatesList(), newUpdatesAdd(), newUpdatesChange(), newUpdatesPause(true),
		newUpdatesPause(false), newUpdatesRemove())
	return cmd
}

const updatesExamples = `  camserver updates add krazycam-v2-rpi.update --share 5% --stop-after 3
  camserver updates list
  camserver updates change 1 --share 100%
  camserver updates pause 1`

// withStore runs f with the database that the options name.
func withStore(ctx context.Context, o *options, f func(s *store.Store, folder string) error) error {
	s, err := o.settings()
	if err == nil {
		err = checkState(s.State)
	}
	if err != nil {
		return err
	}
	st, err := openStore(ctx, s.State)
	if err != nil {
		return err
	}
	return errors.Join(f(st, s.State.Folder), st.Close())
}

// An offerRule are the flags that say who is offered an update.
type offerRule struct {
	share, customer string
	stopAfter       int
	now             bool
}

func (r *offerRule) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.share, "share", "100%",
		"of the boards that are offered it, a `percentage`:\n"+
			"always the same boards, and with a larger one these and more")
	f.IntVar(&r.stopAfter, "stop-after", 0, "offer it no more once `N` boards fell back; 0: whatever happens")
	f.BoolVar(&r.now, "now", false, "boards fetch at once, instead of at a random moment within an hour")
}

// apply puts the flags that were given into o; all of them if the offer is new.
func (r *offerRule) apply(cmd *cobra.Command, o *store.Offer, isNew bool) error {
	given := func(name string) bool { return isNew || cmd.Flags().Changed(name) }
	if given("share") {
		share, err := rollout.ParseShare(r.share)
		if err != nil {
			return usageError{fmt.Errorf("--share %q: %w", r.share, err)}
		}
		o.Share = share
	}
	if r.stopAfter < 0 {
		return usageError{fmt.Errorf("--stop-after %d: must be 0 or more", r.stopAfter)}
	}
	if given("stop-after") {
		o.StopAfter = r.stopAfter
	}
	if given("now") {
		o.Now = r.now
	}
	return nil
}

func newUpdatesAdd() *cobra.Command {
	var rule offerRule
	var url string
	cmd := &cobra.Command{
		Use:   "add BUNDLE",
		Short: "Check a bundle, keep a copy for this server and offer it",
		Args:  cobra.ExactArgs(1),
	}
	rule.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&rule.customer, "customer", "", "offer it to the boards of this customer, a `NAME`; all if not given")
	f.StringVar(&url, "url", "", "boards fetch it there, an https `URL`, and this server keeps no copy")
	o := addOptions(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		offer := store.Offer{Enabled: true, Made: time.Now()}
		if err := rule.apply(cmd, &offer, true); err != nil {
			return err
		}
		if url != "" {
			if err := (wire.Update{URL: url, Version: "v"}).Check(); err != nil {
				return usageError{fmt.Errorf("--url: %w", err)}
			}
		}
		return withStore(cmd.Context(), o, func(s *store.Store, folder string) error {
			return addUpdate(cmd, s, folder, args[0], url, rule.customer, offer)
		})
	}
	return cmd
}

func addUpdate(cmd *cobra.Command, s *store.Store, folder, path, url, customer string, o store.Offer) error {
	ctx := cmd.Context()
	if customer != "" {
		c, err := s.CustomerByName(ctx, customer)
		if errors.Is(err, store.ErrUnknown) {
			return fmt.Errorf("--customer %q: there is none of that name: camserver keys lists them", customer)
		}
		if err != nil {
			return err
		}
		o.Customer = c.ID
	}
	u, err := takeBundle(path, filepath.Join(folder, updatesFolder), url, &o)
	if err != nil {
		return err
	}
	o.Version, o.Board, o.Index = u.Version, u.Board, u.Index
	all, err := s.Offers(ctx)
	if err != nil {
		return err
	}
	same := func(is store.Offer) bool {
		return is.Version == o.Version && is.Board == o.Board && is.Index == o.Index && is.Customer == o.Customer
	}
	// On a second server the bundle is what is missing, and the rule stays as it was said.
	if i := slices.IndexFunc(all, same); i >= 0 && !anyChanged(cmd, "share", "stop-after", "now", "url") {
		fmt.Fprintf(cmd.OutOrStdout(), "update %d: %s for %s is offered already; this server has the bundle now\n",
			all[i].ID, o.Version, o.Board)
		return nil
	}
	id, isNew, err := rollout.Put(ctx, s, o)
	if err != nil {
		return err
	}
	what := "is offered"
	if !isNew {
		what = "was offered already; its rule is changed"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "update %d: %s for %s %s\n", id, o.Version, o.Board, what)
	return nil
}

func anyChanged(cmd *cobra.Command, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return cmd.Flags().Changed(name) })
}

// takeBundle checks a bundle and says in o where boards get it: from a copy in folder, or at url.
func takeBundle(path, folder, url string, o *store.Offer) (rollout.Update, error) {
	if url != "" {
		o.Bundle = url
		return bundle.Check(path)
	}
	if err := bundle.MakeFolder(folder); err != nil {
		return rollout.Update{}, err
	}
	name, u, err := bundle.Keep(path, folder)
	o.Bundle = name
	return u, err
}

// offerByID reads the argument of a verb.
func offerByID(ctx context.Context, s *store.Store, text string) (store.Offer, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return store.Offer{}, usageError{fmt.Errorf("%q: want the number of an update: camserver updates list", text)}
	}
	o, err := s.OfferByID(ctx, id)
	if errors.Is(err, store.ErrUnknown) {
		return o, fmt.Errorf("update %d: there is none: camserver updates list", id)
	}
	return o, err
}

func newUpdatesChange() *cobra.Command {
	var rule offerRule
	cmd := &cobra.Command{
		Use:   "change ID",
		Short: "Change who is offered an update: --share, --stop-after, --now",
		Args:  cobra.ExactArgs(1),
	}
	rule.bind(cmd)
	o := addOptions(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !anyChanged(cmd, "share", "stop-after", "now") {
			return usageError{errors.New("say what: --share, --stop-after or --now")}
		}
		return withStore(cmd.Context(), o, func(s *store.Store, _ string) error {
			offer, err := offerByID(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if err := rule.apply(cmd, &offer, false); err != nil {
				return err
			}
			return s.UpdateOffer(cmd.Context(), offer)
		})
	}
	return cmd
}

func newUpdatesPause(pause bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause ID", Short: "Offer an update to nobody for now; fetches break off", Args: cobra.ExactArgs(1),
	}
	if !pause {
		cmd.Use, cmd.Short = "resume ID", "Offer a paused update again"
	}
	o := addOptions(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withStore(cmd.Context(), o, func(s *store.Store, _ string) error {
			offer, err := offerByID(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			offer.Enabled = !pause
			return s.UpdateOffer(cmd.Context(), offer)
		})
	}
	return cmd
}

func newUpdatesRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Forget an update and what became of its boards",
		Args:  cobra.ExactArgs(1),
	}
	o := addOptions(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withStore(cmd.Context(), o, func(s *store.Store, folder string) error {
			offer, err := offerByID(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if err := s.RemoveOffer(cmd.Context(), offer.ID); err != nil {
				return err
			}
			return removeCopy(cmd.Context(), s, filepath.Join(folder, updatesFolder), offer.Bundle)
		})
	}
	return cmd
}

// removeCopy removes a bundle that no other offer needs.
func removeCopy(ctx context.Context, s *store.Store, folder, name string) error {
	all, err := s.Offers(ctx)
	if err != nil {
		return err
	}
	if name != filepath.Base(name) || slices.ContainsFunc(all, func(o store.Offer) bool { return o.Bundle == name }) {
		return nil
	}
	if err := os.Remove(filepath.Join(folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// An updateRow is one offer as a program reads it.
type updateRow struct {
	ID        int64   `json:"id"`
	Board     string  `json:"board"`
	Index     int64   `json:"index"`
	Bundle    string  `json:"bundle"`
	Share     float64 `json:"share"`
	Customer  string  `json:"customer,omitempty"`
	StopAfter int     `json:"stop_after,omitempty"`
	Now       bool    `json:"now,omitempty"`
	Paused    bool    `json:"paused,omitempty"`
	rollout.Counts
}

func newUpdatesList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [ID]",
		Short: "List the updates; with ID, what became of each board",
		Args:  cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each line")
	o := addOptions(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withStore(cmd.Context(), o, func(s *store.Store, _ string) error {
			if len(args) == 1 {
				return listBoardsOf(cmd, s, args[0], asJSON)
			}
			rows, err := updateRows(cmd.Context(), s)
			if err != nil {
				return err
			}
			return printUpdates(cmd.OutOrStdout(), rows, asJSON)
		})
	}
	return cmd
}

func updateRows(ctx context.Context, s *store.Store) (rows []updateRow, _ error) {
	all, err := s.Offers(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		row := updateRow{ID: o.ID, Board: o.Board, Index: o.Index, Bundle: o.Bundle, Share: o.Share,
			StopAfter: o.StopAfter, Now: o.Now, Paused: !o.Enabled}
		if row.Counts, err = rollout.CountsOf(ctx, s, o); err != nil {
			return nil, err
		}
		if o.Customer != 0 {
			c, err := s.CustomerByID(ctx, o.Customer)
			if err != nil {
				return nil, err
			}
			row.Customer = c.Name
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func printUpdates(w io.Writer, rows []updateRow, asJSON bool) error {
	if asJSON {
		return printJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tVERSION\tBOARD\tSHARE\tFOR\tOFFERED\tFETCHING\tON TRIAL\tPROMOTED\tFELL BACK\tSTATE")
	for _, r := range rows {
		state, of := "offered", "all"
		switch {
		case r.Paused:
			state = "paused"
		case r.Stopped:
			state = "stopped"
		}
		if r.Customer != "" {
			of = r.Customer
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%g%%\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", r.ID, r.Version, r.Board, r.Share*100, of,
			r.Offered, r.Fetching, r.OnTrial+r.NotJudged, r.Promoted, r.FellBack, state)
	}
	return t.Flush()
}

func printJSON[T any](w io.Writer, rows []T) error {
	e := json.NewEncoder(w)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// A boardRow is one board of an offer as a program reads it.
type boardRow struct {
	Serial   string    `json:"serial"`
	Customer int64     `json:"customer"`
	Phase    string    `json:"phase"`
	Bytes    int64     `json:"bytes,omitempty"`
	Because  string    `json:"because,omitempty"`
	At       time.Time `json:"at"`
}

func listBoardsOf(cmd *cobra.Command, s *store.Store, id string, asJSON bool) error {
	offer, err := offerByID(cmd.Context(), s, id)
	if err != nil {
		return err
	}
	all, err := s.OfferBoards(cmd.Context(), offer.ID, 0)
	if err != nil {
		return err
	}
	var rows []boardRow
	for _, b := range all {
		rows = append(rows, boardRow{b.Serial, b.Customer, b.Phase, b.Bytes, b.Because, b.At})
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), rows)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERIAL\tPHASE\tBYTES\tSINCE\tBECAUSE")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", r.Serial, r.Phase, r.Bytes, r.At.Format(time.DateTime), r.Because)
	}
	return t.Flush()
}
