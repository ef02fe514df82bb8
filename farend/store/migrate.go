// The schema: numbered steps, each in a transaction of all that are due. A step that was released is
// never changed; what comes later is a further step.

package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// schemaSetting is the setting that says how many steps were made.
const schemaSetting = "schema"

// migrations are the steps, the first one making schema 1.
func migrations() []string {
	var all []string
	for {
		b, err := migrationFiles.ReadFile(fmt.Sprintf("migrations/%04d.sql", len(all)+1))
		if err != nil {
			return all
		}
		all = append(all, string(b))
	}
}

// migrate makes the steps that the database lacks, all or none.
func (s *Store) migrate(ctx context.Context, steps []string) error {
	return s.change(ctx, "schema", func(ctx context.Context, tx *sql.Tx) error {
		if s.engine.LockSchema != "" {
			if _, err := tx.ExecContext(ctx, s.engine.LockSchema); err != nil {
				return err
			}
		}
		is, err := schemaOf(ctx, tx)
		switch {
		case err != nil:
			return err
		case is > len(steps):
			return fmt.Errorf("%w: its schema is %d, this program knows %d: run that later version",
				ErrSchema, is, len(steps))
		case is == len(steps):
			return nil
		}
		for i, step := range steps[is:] {
			if err := s.step(ctx, tx, step); err != nil {
				return fmt.Errorf("step %d: %w", is+i+1, err)
			}
		}
		return execOne(ctx, tx, nil, setSetting, schemaSetting, strconv.Itoa(len(steps)))
	})
}

// step runs the statements of a file, which end with a semicolon at the end of a line.
func (s *Store) step(ctx context.Context, tx *sql.Tx, text string) error {
	text = strings.ReplaceAll(text, "{serial}", s.engine.Serial)
	for one := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// schemaOf makes the table of settings in a database that is new, whose schema is 0.
func schemaOf(ctx context.Context, tx *sql.Tx) (int, error) {
	_, err := tx.ExecContext(ctx,
		`CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)`)
	if err != nil {
		return 0, err
	}
	value, err := row(ctx, tx, text, getSetting, schemaSetting)
	if errors.Is(err, ErrUnknown) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("its setting %s is %q, not a number: is it a database of krazycam?", schemaSetting, value)
	}
	return n, nil
}
