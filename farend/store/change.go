// Changes of several people at once: each decides by what is there, in one transaction.

package store

import (
	"context"
	"database/sql"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// ChangeCustomer lets change decide about one customer by what is kept of it, while nobody else changes it,
// in whatever process, and gives it as it is kept then. What change says of ID and Made has no effect; its
// error keeps everything as it was, and comes back in the error. It may be called several times, and must
// not use the Store. ErrUnknown; ErrExists: the name or the key is taken.
func (s *Store) ChangeCustomer(ctx context.Context, id int64, change func(*Customer) error) (Customer, error) {
	return changed(ctx, s, "change customer", change, scanCustomer, func(c Customer) (string, []any, error) {
		values, err := c.values()
		if err != nil {
			return "", nil, err
		}
		values[len(values)-1] = id
		return updateCustomer, values, nil
	}, `SELECT `+customerColumns+` FROM customers WHERE id = $1`, id)
}

// ChangeSource does the same for a source's Name and Enabled; nothing else has an effect.
func (s *Store) ChangeSource(ctx context.Context, id wire.ID, change func(*Source) error) (Source, error) {
	return changed(ctx, s, "change source", change, scanSource, func(c Source) (string, []any, error) {
		return updateSource, []any{idText(id), storable(c.Name), c.Enabled}, nil
	}, `SELECT `+sourceColumns+` FROM sources WHERE id = $1`, idText(id))
}

// changed reads a row, lets change change it, and writes what update makes of it.
func changed[T any](ctx context.Context, s *Store, what string, change func(*T) error, scan func(scanner) (T, error),
	update func(T) (query string, args []any, err error), query string, id any) (T, error) {
	var kept T
	err := s.lasting(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		is, err := row(ctx, tx, scan, query+s.engine.ForUpdate, id)
		if err != nil {
			return err
		}
		if err := change(&is); err != nil {
			return refusal{err}
		}
		text, args, err := update(is)
		if err != nil {
			return err
		}
		if err := execOne(ctx, tx, ErrUnknown, text, args...); err != nil {
			return err
		}
		kept, err = row(ctx, tx, scan, query, id)
		return err
	})
	return kept, err
}

// A refusal is a caller's own error, which no engine has to classify.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }
