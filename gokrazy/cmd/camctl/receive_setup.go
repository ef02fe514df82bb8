// What camctl receive keeps and writes: its state directory, the boards' key in the database, the seed.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/atomicfile"
)

// openState makes the directory, readable by the owner alone: the key is in there.
func (o *receiveOptions) openState() error {
	if o.state == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("state directory: %w (give one with --state)", err)
		}
		o.state = filepath.Join(dir, "krazycam", "receive")
	}
	err := os.MkdirAll(o.state, 0o700)
	if err == nil {
		o.state, err = filepath.Abs(o.state)
	}
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if o.record != "" && !filepath.IsAbs(o.record) {
		o.record = filepath.Join(o.state, o.record)
	}
	return nil
}

// deskCustomer is who has the key: all boards of the desk.
const deskCustomer = "desk"

// admitKey lets boards with the key in. Ids that they have from another key go on: whoever changes the key
// of a desk means the same boards. So do those of versions without a database.
func (o *receiveOptions) admitKey(ctx context.Context, s *store.Store) error {
	hash := store.HashKey(o.key)
	if known, err := s.CustomerByKey(ctx, hash); err == nil && known.Valid(time.Now()) {
		return o.importIDs(ctx, s)
	} else if err != nil && !errors.Is(err, store.ErrUnknown) {
		return err
	}
	desk, err := s.CustomerByName(ctx, deskCustomer)
	switch {
	case err == nil:
		_, err = s.ChangeCustomer(ctx, desk.ID, func(c *store.Customer) error {
			c.KeyHash, c.Enabled, c.ValidUntil = hash, true, time.Time{}
			return nil
		})
	case errors.Is(err, store.ErrUnknown):
		_, err = s.AddCustomer(ctx, store.Customer{Name: deskCustomer, KeyHash: hash, Enabled: true, Made: time.Now()})
	}
	if err != nil {
		return err
	}
	return o.importIDs(ctx, s)
}

func (o *receiveOptions) importIDs(ctx context.Context, s *store.Store) error {
	_, err := s.ImportIDs(ctx, filepath.Join(o.state, server.OldIDs))
	return err
}

func (o *receiveOptions) writeSeed(s *server.Server) error {
	if o.seedOut == "" {
		return nil
	}
	if err := atomicfile.Write(o.seedOut, 0o600, atomicfile.Bytes([]byte(s.Seed(o.key)+"\n"))); err != nil {
		return fmt.Errorf("--seed-out: %w", err)
	}
	return nil
}
