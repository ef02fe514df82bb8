// What hands streams on.

package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/forward/whip"
	"github.com/krazycam/krazycam/farend/settings"
)

// openForwarder reads the rules. Without a file of them nothing is handed on.
func openForwarder(s settings.Settings, log *slog.Logger, keyFrame func(id string)) (*forward.Forwarder, error) {
	var rules []forward.Rule
	if s.Forward.Rules != "" {
		var err error
		rules, err = forward.ReadRules(s.Forward.Rules)
		var unread *fs.PathError
		if errors.As(err, &unread) {
			return nil, err
		}
		if err != nil {
			return nil, usageError{err}
		}
	}
	host, _ := os.Hostname() // Open says what to do without one
	f, err := forward.New(forward.Config{
		Rules: rules, Name: cmp.Or(s.Cluster.Name, host), KeyFrame: keyFrame, WHIP: whip.Publish,
		Log: log, Now: time.Now,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return f, nil
}

// closeForwarder waits until nothing of ours is left at the programs that took streams. The streams are
// over.
func closeForwarder(f *forward.Forwarder, log *slog.Logger) {
	if err := f.Close(context.Background()); err != nil {
		log.Error("camserver: forwarding", "error", err)
	}
}
