// camctl receive --offer-update: a bundle for boards that fetch it. Which board is offered it is
// farend/rollout's, and what became of each is in the database; here the bundle is checked.

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/farend/bundle"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// offerOptions are the flags about an update.
type offerOptions struct {
	bundle    string
	url       string
	share     string
	stopAfter int
	now       bool
}

func (o *offerOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.bundle, "offer-update", "",
		"offer this bundle (a `file` of camctl bundle) to boards of its kind that run an older version;\n"+
			"it is served over https: needs --tls, --cert or --update-url")
	f.StringVar(&o.url, "update-url", "", "where else boards fetch the bundle: an https `URL`")
	f.StringVar(&o.share, "share", "100%",
		"of the boards that are offered the update: a percentage such as 5%;\n"+
			"always the same boards, and with a larger share these and more")
	f.IntVar(&o.stopAfter, "stop-after", 0, "offer the update no more once `N` boards fell back; 0: whatever happens")
	f.BoolVar(&o.now, "update-now", false, "boards fetch at once, instead of at a random moment within an hour")
	shares := cobra.FixedCompletions([]string{"1%", "5%", "20%", "50%", "100%"}, cobra.ShellCompDirectiveNoFileComp)
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("share", shares))
	for _, name := range []string{"update-url", "stop-after"} {
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// check finds what cobra cannot see; secure is whether the gateway is asked over https.
func (o *offerOptions) check(flags *pflag.FlagSet, secure bool) error {
	if _, err := rollout.ParseShare(o.share); err != nil {
		return usagef("--share %q: %w", o.share, err)
	}
	if o.stopAfter < 0 {
		return usagef("--stop-after %d: must be 0 or more", o.stopAfter)
	}
	if o.bundle == "" {
		for _, name := range []string{"update-url", "share", "stop-after", "update-now"} {
			if flags.Changed(name) {
				return usagef("--%s: belongs to --offer-update, which is missing", name)
			}
		}
		return nil
	}
	if o.url == "" {
		if !secure {
			return usagef("--offer-update: boards fetch over https only: " +
				"add --tls, --cert and --tls-key, or --update-url")
		}
		return nil
	}
	if err := (wire.Update{URL: o.url, Version: "v"}).Check(); err != nil {
		return usagef("--update-url: %w", err)
	}
	return nil
}

// offering is an update that is offered.
type offering struct {
	offer    store.Offer
	secure   bool // boards ask over https
	log      *slog.Logger
	store    *store.Store
	rollouts *rollout.Rollouts
	said     rollout.Counts // by changed
}

// openOffering checks the bundle; nil if there is none.
func openOffering(o *receiveOptions, secure bool, log *slog.Logger) (*offering, error) {
	if o.offer.bundle == "" {
		return nil, nil
	}
	path, err := filepath.Abs(o.offer.bundle)
	if err != nil {
		return nil, fmt.Errorf("--offer-update: %w", err)
	}
	u, err := bundle.Check(path)
	if err != nil {
		return nil, fmt.Errorf("--offer-update: %w", err)
	}
	share, _ := rollout.ParseShare(o.offer.share) // checked
	at := path
	if o.offer.url != "" {
		at = o.offer.url
	}
	return &offering{
		offer: store.Offer{
			Bundle: at, Version: u.Version, Board: u.Board, Index: u.Index, Share: share,
			StopAfter: o.offer.stopAfter, Now: o.offer.now, Enabled: true, Made: time.Now(),
		},
		secure: secure, log: log, said: rollout.Counts{Version: u.Version},
	}, nil
}

// begin puts the offer into the database: what an earlier call learned of the same update goes on, what it
// learned of another one is forgotten.
func (o *offering) begin(ctx context.Context, s *store.Store) (err error) {
	if o == nil {
		return nil
	}
	o.store = s
	o.rollouts = rollout.NewRollouts(rollout.RolloutsConfig{
		Store: s, Open: bundle.Open, BoardOf: bundle.BoardOf, Secure: o.secure, Log: o.log,
	})
	o.offer.ID, err = rollout.PutAlone(ctx, s, o.offer)
	return err
}

// offerFunc is what the gateway asks; nil where nothing is offered.
func (o *offering) offerFunc() func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update {
	if o == nil {
		return nil
	}
	return func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update {
		return o.rollouts.Offer(ctx, keyHash, b, host)
	}
}

// changed gives the counts, and whether they are others than the last time.
func (o *offering) changed(ctx context.Context) (rollout.Counts, bool) {
	now, err := rollout.CountsOf(ctx, o.store, o.offer)
	if err != nil { // the gateway says that the database does not answer
		return o.said, false
	}
	was := o.said
	o.said = now
	return now, now != was
}

// handler puts the bundle beside the gateway.
func (o *offering) handler(gateway http.Handler) http.Handler {
	if o == nil {
		return gateway
	}
	return o.rollouts.Handler(gateway)
}
