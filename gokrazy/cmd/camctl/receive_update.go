// camctl receive --offer-update: a bundle for boards that fetch it. Which board is offered it, and what
// became of each, is farend/rollout's; here the bundle is read and checked.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// rolloutFile, in the state directory, keeps what became of each board.
const rolloutFile = "rollout.json"

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
	if _, err := parseShare(o.share); err != nil {
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

// parseShare reads a percentage above 0, up to 100.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !percent || !(share > 0 && share <= 100) {
		return 0, fmt.Errorf("must be a percentage above 0 and up to 100, such as 5%%")
	}
	return share / 100, nil
}

// offering is an update that is offered.
type offering struct {
	*rollout.Rollout
	files  *rollout.Files
	url    string // where the bundle lies; "": here
	secure bool   // "here" is https
	file   *os.File
	failed bool           // the last Save
	said   rollout.Counts // by changed
}

// openOffering opens and checks the bundle; nil if there is none.
func openOffering(o *receiveOptions, secure bool, log *slog.Logger) (*offering, error) {
	if o.offer.bundle == "" {
		return nil, nil
	}
	f, err := openfile.File(o.offer.bundle)
	if err != nil {
		return nil, fmt.Errorf("--offer-update: %w", err)
	}
	offered, err := readOffering(o, f, log)
	if err != nil {
		_ = f.Close() // it was read only
		return nil, fmt.Errorf("--offer-update %s: %w", o.offer.bundle, err)
	}
	offered.secure = secure
	return offered, nil
}

func readOffering(o *receiveOptions, f *os.File, log *slog.Logger) (*offering, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	bundle, err := update.OpenBundle(f, info.Size())
	if err != nil {
		return nil, err
	}
	if err := checkParts(bundle); err != nil {
		return nil, err
	}
	share, _ := parseShare(o.offer.share) // checked
	m := bundle.Manifest
	r, err := rollout.New(rollout.Config{
		Update: rollout.Update{Version: m.Version, Board: m.Board, Index: m.Index},
		Share:  share, StopAfter: o.offer.stopAfter, Now: o.offer.now, BoardOf: boardOfModel,
		Path: filepath.Join(o.state, rolloutFile), Log: log,
	})
	if err != nil {
		return nil, err
	}
	// The manifest has the hash of every part.
	sum := sha256.Sum256(slices.Concat(bundle.Raw, bundle.Signature))
	files := rollout.NewFiles(r, rollout.File{
		Name: m.BundleName(), Size: info.Size(), ETag: hex.EncodeToString(sum[:16]), Body: f,
	})
	return &offering{Rollout: r, files: files, url: o.offer.url, file: f, said: rollout.Counts{Version: m.Version}}, nil
}

// checkParts reads the whole bundle: boards would fetch a damaged one again and again.
func checkParts(bundle *update.Bundle) error {
	for _, p := range bundle.Manifest.Parts {
		r, err := bundle.Open(p)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, r)
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
		if err == nil && hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
			err = update.ErrBundle
		}
		if err != nil {
			return fmt.Errorf("part %s: damaged: %w", p.Name, err)
		}
	}
	return nil
}

// boardOfModel names the board whose images a model runs; "" if no board's table has it.
func boardOfModel(model string) string {
	match := board.DetectModel(model).Match
	for _, b := range board.All() {
		for _, m := range b.Models {
			if match != "" && m.Match == match {
				return b.Name
			}
		}
	}
	return ""
}

// offerFunc is what the gateway asks; nil where nothing is offered.
func (o *offering) offerFunc() func(keyHash string, b wire.Board, host string) *wire.Update {
	if o == nil {
		return nil
	}
	return o.offer
}

func (o *offering) offer(keyHash string, b wire.Board, host string) *wire.Update {
	token := o.Consider(keyHash, b)
	at := o.url
	if at == "" && o.secure {
		at = (&url.URL{Scheme: "https", Host: host, Path: o.files.URLPath(token)}).String()
	}
	return o.Offer(token, at)
}

// save keeps the state; a failure is logged once.
func (o *offering) save(log *slog.Logger) {
	if o == nil {
		return
	}
	err := o.Save()
	if err != nil && !o.failed {
		log.Error("update: what became of the boards is not kept", "error", err)
	}
	o.failed = err != nil
}

// close ends it after the server has ended.
func (o *offering) close(log *slog.Logger) {
	if o == nil {
		return
	}
	o.save(log)
	_ = o.file.Close() // it was read only
}

// changed gives the counts if they are others than the last time.
func (o *offering) changed() (rollout.Counts, bool) {
	now := o.Counts()
	was := o.said
	o.said = now
	return now, now != was
}

// handler puts the bundle beside the gateway, which is asked by POST only.
func (o *offering) handler(gateway http.Handler) http.Handler {
	if o == nil {
		return gateway
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && strings.HasPrefix(r.URL.Path, rollout.PathPrefix) {
			o.files.ServeHTTP(w, r)
			return
		}
		gateway.ServeHTTP(w, r)
	})
}
