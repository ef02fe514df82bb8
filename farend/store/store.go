// Package store keeps the state of the far end in a database: customers and their API keys, the sources
// of each, streams, video servers, events, results of analyses, offers of updates.
//
// A Store is made by farend/store/sqlite or farend/store/postgres, which say what is different about
// their engine; everything else is one text of SQL for both. Several processes may share one PostgreSQL,
// or one file: whatever reads and then writes does so in one transaction, and rules such as "one stream
// of a source at a time" are the database's own (a unique index), not a lock of this process.
//
// It owns the pools of connections that it was given, and no goroutine; a StatsWriter is another thing,
// with a goroutine of its caller. Each call has a limit of time, after which it fails with
// ErrUnavailable. Times are UTC and kept to the microsecond; the zero time is kept as such. Times are
// passed in, so that a test can live through a week.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// An Engine is a database and what is different about it.
type Engine struct {
	Name  string  // for errors: SQLite, PostgreSQL
	Write *sql.DB // for transactions that write
	Read  *sql.DB // for all else; may be the same

	// SQL. A table's own number is a column of type Serial; ForUpdate follows a SELECT whose row nobody
	// else may change until the end of the transaction; LockSchema keeps others from migrating.
	Serial, ForUpdate, LockSchema string

	Timeout time.Duration // of one call

	// Classify says what a driver's error means.
	Classify func(error) Class

	// Sync makes durable what was acknowledged; nil: it is.
	Sync func() error

	// Backup writes all that is kept to a file, which is not there yet.
	Backup func(ctx context.Context, path string) error
}

// A Store is safe for use by several goroutines.
type Store struct {
	engine Engine

	failuresMu sync.Mutex // guards failures; nothing is called under it
	failures   map[string]uint64
}

// New makes a Store of an engine, whose pools it closes from now on, and brings the schema up to date.
// A schema of a later version is refused with ErrSchema.
func New(ctx context.Context, e Engine) (*Store, error) {
	s := &Store{engine: e, failures: map[string]uint64{}}
	if err := s.migrate(ctx, migrations()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends what runs and closes the database.
func (s *Store) Close() error {
	err := s.engine.Write.Close()
	if s.engine.Read != s.engine.Write {
		err = errors.Join(err, s.engine.Read.Close())
	}
	if err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// Ping says whether the database answers, and takes writes.
func (s *Store) Ping(ctx context.Context) error {
	return s.change(ctx, "ping", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE settings SET value = value WHERE name = $1`, schemaSetting)
		return err
	})
}

// Backup writes a copy of the database to path while it is used. Nothing may be there yet. It has no
// limit of time but ctx's.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.engine.Backup(ctx, path); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// tries is how often a call is tried that another transaction keeps from ending (PostgreSQL 15 manual,
// section 13.5), or whose connection broke. Each try meets other rows that are locked; after a restart of
// the server each connection of a pool is found broken once.
const tries = 12

// again calls f until it succeeds, or fails for good. what says what for: an operation, and then ": " and
// on what.
func (s *Store) again(ctx context.Context, what string, f func(context.Context) (mayRetry bool, err error)) error {
	limited, cancel := context.WithTimeout(ctx, s.engine.Timeout)
	defer cancel()
	var err error
	for range tries {
		var mayRetry bool
		if mayRetry, err = f(limited); err == nil || !mayRetry || limited.Err() != nil {
			break
		}
		if class := s.engine.Classify(err); class != Conflict && class != Lost {
			break
		}
	}
	err = s.failure(ctx, what, err)
	s.countFailure(what, err)
	return err
}

// change runs f in one transaction that writes. f may run several times, so it must set what it gives
// back, not add to it. It is not tried again if the connection broke while it was committed: nobody knows
// whether it was.
func (s *Store) change(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	return s.again(ctx, what, func(ctx context.Context) (mayRetry bool, err error) {
		tx, err := s.engine.Write.BeginTx(ctx, nil)
		if err != nil {
			return true, err
		}
		if err := f(ctx, tx); err != nil {
			_ = tx.Rollback() // what failed before is the reason
			return true, err
		}
		err = tx.Commit()
		return s.engine.Classify(err) == Conflict, err
	})
}

// lasting is change for what must outlive a power cut that comes right after its answer.
func (s *Store) lasting(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	err := s.change(ctx, what, f)
	if err != nil || s.engine.Sync == nil {
		return err
	}
	if err := s.engine.Sync(); err != nil {
		return s.unavailable(what, err)
	}
	return nil
}

// exec runs one statement that writes. none is the error if it changed no row; nil: that is none.
func (s *Store) exec(ctx context.Context, what string, none error, query string, args ...any) error {
	return s.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		return execOne(ctx, tx, none, query, args...)
	})
}

func execOne(ctx context.Context, tx *sql.Tx, none error, query string, args ...any) error {
	r, err := tx.ExecContext(ctx, query, args...)
	if err != nil || none == nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = none
	}
	return err
}

// A querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// A scanner is a row.
type scanner interface{ Scan(to ...any) error }

// list reads all rows of a query outside of a transaction.
func list[T any](ctx context.Context, s *Store, what string, scan func(scanner) (T, error),
	query string, args ...any) ([]T, error) {
	var all []T
	err := s.again(ctx, what, func(ctx context.Context) (bool, error) {
		var err error
		all, err = rows(ctx, s.engine.Read, scan, query, args...)
		return true, err
	})
	return all, err
}

// one reads the one row of a query outside of a transaction; ErrUnknown: there is none.
func one[T any](ctx context.Context, s *Store, what string, scan func(scanner) (T, error),
	query string, args ...any) (T, error) {
	var v T
	err := s.again(ctx, what, func(ctx context.Context) (bool, error) {
		var err error
		v, err = row(ctx, s.engine.Read, scan, query, args...)
		return true, err
	})
	return v, err
}

// rows reads all rows before it gives them back: a connection has one query at a time.
func rows[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string,
	args ...any) ([]T, error) {
	r, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []T
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, r.Err()
}

// row gives ErrUnknown if there is none.
func row[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string,
	args ...any) (T, error) {
	all, err := rows(ctx, q, scan, query, args...)
	if err == nil && len(all) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}

// number scans a row of one number.
func number(r scanner) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

// A where is the condition of a query, made of those that a filter has.
type where struct {
	terms []string
	args  []any
}

// add adds a condition in which %s stands for the argument's place.
func (w *where) add(term string, arg any) {
	w.args = append(w.args, arg)
	w.terms = append(w.terms, fmt.Sprintf(term, fmt.Sprintf("$%d", len(w.args))))
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// limit is the end of a query that gives at most n rows; 0: listMax.
func limit(n int) string {
	if n <= 0 || n > listMax {
		n = listMax
	}
	return fmt.Sprintf(" LIMIT %d", n)
}

// listMax bounds what one call lists: more is asked for in parts.
const listMax = 10_000

// micros is how a time is kept: µs since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// storable is a text that both engines keep as it is: PostgreSQL refuses zeros and what is not UTF-8.
func storable(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ReplaceAll(s, "\x00", "")
}
