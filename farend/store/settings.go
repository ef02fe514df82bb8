// Small things that all who share the database must agree on.

package store

import (
	"context"
	"database/sql"
	"fmt"
)

const (
	getSetting = `SELECT value FROM settings WHERE name = $1`
	setSetting = `INSERT INTO settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`
	addSetting = `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
)

func text(r scanner) (value string, err error) {
	err = r.Scan(&value)
	return value, err
}

// Setting gives a value; ErrUnknown: it was never set.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	return one(ctx, s, "setting: "+name, text, getSetting, name)
}

// SetSetting sets a value.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	if name == schemaSetting {
		return fmt.Errorf("store: setting %s is the store's own: %w", name, ErrExists)
	}
	return s.lasting(ctx, "setting: "+name, func(ctx context.Context, tx *sql.Tx) error {
		return execOne(ctx, tx, nil, setSetting, name, storable(value))
	})
}

// InitSetting sets a value that was never set, and gives the one that counts: all who share the database
// get the same, such as a secret that the first of them made.
func (s *Store) InitSetting(ctx context.Context, name, value string) (string, error) {
	var is string
	err := s.lasting(ctx, "setting: "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(ctx, tx, nil, addSetting, name, storable(value)); err != nil {
			return err
		}
		var err error
		is, err = row(ctx, tx, text, getSetting, name)
		return err
	})
	return is, err
}
