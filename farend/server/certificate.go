// The certificate of https: read again when its files change. A pair that cannot be used leaves the old
// one in its place.

package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
)

// certificateInterval is how often the folder is asked whether the files changed.
const certificateInterval = time.Second

// A certificate is the pair that a listener shows. watch is called by one goroutine.
type certificate struct {
	certPath, keyPath string
	log               *slog.Logger
	pair              atomic.Pointer[tls.Certificate]
	seen              [2]fileState // when it was read last, well or not
	failed            bool         // it was not well: the next look reads again, as after a late chmod
}

// A fileState differs after each write and each replacement of a file.
type fileState struct {
	size    int64
	changed time.Time
}

func loadCertificate(certPath, keyPath string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certPath: certPath, keyPath: keyPath, log: log}
	c.seen = c.look()
	pair, err := gateway.LoadPair(certPath, keyPath)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.pair.Store(&pair)
	return c, nil
}

// GetCertificate is for a tls.Config.
func (c *certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.pair.Load(), nil
}

// look reads what the folder says of the files. One that is not there has the zero state.
func (c *certificate) look() (now [2]fileState) {
	for i, path := range []string{c.certPath, c.keyPath} {
		if info, err := os.Stat(path); err == nil {
			now[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return now
}

// watchFiles looks until ctx ends; a nil certificate has no files.
func (c *certificate) watchFiles(ctx context.Context) {
	if c == nil {
		return
	}
	ticker := time.NewTicker(certificateInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.watch()
		}
	}
}

// watch reads the files again if one of them changed since it last did, or if they could not be used then.
// What is wrong is logged once for each change.
func (c *certificate) watch() {
	now := c.look()
	changed := now != c.seen
	if !changed && !c.failed {
		return
	}
	c.seen = now
	pair, err := gateway.LoadPair(c.certPath, c.keyPath)
	c.failed = err != nil
	if err != nil {
		if changed {
			c.log.Error("certificate: the changed files cannot be used, the old certificate goes on", "error", err)
		}
		return
	}
	c.pair.Store(&pair)
	c.log.Info("certificate: the changed files are in use", "file", c.certPath, "until", pair.Leaf.NotAfter)
}
