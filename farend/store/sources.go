// Sources: a utilization id each, which a board keeps for its life.

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Source is one board, or whoever got an id.
type Source struct {
	ID       wire.ID
	Customer int64
	Name     string // by its owner; may be ""
	Enabled  bool   // false: it gets no stream
	Made     time.Time
	Used     time.Time  // the last time that a stream was asked for with it, began or ended; zero: never
	Board    wire.Board // what it says of itself
	BoardAt  time.Time
}

// SourceLimits bound what one customer has.
type SourceLimits struct {
	Max        int           // sources; beyond it the one that is needed least gives way
	UnusedKeep time.Duration // for which one keeps its place that no stream was asked for with yet
	UsedKeep   time.Duration // for which one keeps its place after it was used
}

const sourceColumns = `id, customer, name, enabled, made, used, board, board_at`

func scanSource(r scanner) (Source, error) {
	var c Source
	var id, board string
	var made, used, boardAt int64
	if err := r.Scan(&id, &c.Customer, &c.Name, &c.Enabled, &made, &used, &board, &boardAt); err != nil {
		return Source{}, err
	}
	c.Made, c.Used, c.BoardAt = timeOf(made), timeOf(used), timeOf(boardAt)
	err := errors.Join(c.ID.UnmarshalJSON([]byte(id)), json.Unmarshal([]byte(board), &c.Board))
	return c, err
}

// idText is how an id is kept: its JSON, or "" for one that nobody ever got.
func idText(id wire.ID) string {
	b, err := id.MarshalJSON()
	if err != nil || id.IsZero() || !utf8.Valid(b) {
		return ""
	}
	return string(b)
}

func idOf(text string) (id wire.ID, err error) {
	if text != "" {
		err = id.UnmarshalJSON([]byte(text))
	}
	return id, err
}

// AddSource makes a source with an id that nobody can guess, since it alone stops a stream. Beyond
// limits.Max, one gives way that was never used, or else unused longest, and for longer than limits say;
// one with a name goes after those without, and one whose stream is active never. ErrFull: all are
// needed. ErrUnknown: no such customer.
func (s *Store) AddSource(ctx context.Context, customer int64, limits SourceLimits, now time.Time) (Source, error) {
	made := Source{ID: wire.TextID(rand.Text()), Customer: customer, Enabled: true, Made: timeOf(micros(now))}
	err := s.lasting(ctx, "add source", func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockCustomer(ctx, tx, customer); err != nil {
			return err
		}
		if err := evictSource(ctx, tx, customer, limits, now); err != nil {
			return err
		}
		return insertSource(ctx, tx, made)
	})
	if err != nil {
		return Source{}, err
	}
	return made, nil
}

func insertSource(ctx context.Context, tx *sql.Tx, c Source) error {
	return execOne(ctx, tx, nil, `INSERT INTO sources (`+sourceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, '{}', 0)`,
		idText(c.ID), c.Customer, storable(c.Name), c.Enabled, micros(c.Made), micros(c.Used))
}

// evictSource makes place for one more.
func evictSource(ctx context.Context, tx *sql.Tx, customer int64, limits SourceLimits, now time.Time) error {
	n, err := row(ctx, tx, number, `SELECT COUNT(*) FROM sources WHERE customer = $1`, customer)
	if err != nil || n < int64(limits.Max) {
		return err
	}
	return execOne(ctx, tx, fmt.Errorf("%d sources: %w", n, ErrFull), `DELETE FROM sources WHERE id = (
		SELECT id FROM sources WHERE customer = $1 AND (used = 0 AND made <= $2 OR used > 0 AND used <= $3)
			AND NOT EXISTS (SELECT 1 FROM streams WHERE streams.source = sources.id AND streams.ended = 0)
		ORDER BY name <> '', used > 0, used, made LIMIT 1)`,
		customer, micros(now.Add(-limits.UnusedKeep)), micros(now.Add(-limits.UsedKeep)))
}

// SourceByID gives one; ErrUnknown.
func (s *Store) SourceByID(ctx context.Context, id wire.ID) (Source, error) {
	return one(ctx, s, "source", scanSource, `SELECT `+sourceColumns+` FROM sources WHERE id = $1`, idText(id))
}

// A SourceFilter chooses sources; its zero value is all.
type SourceFilter struct {
	Customer int64   // 0: of all
	Disabled bool    // only those that are not Enabled
	After    wire.ID // those behind this one in the order; zero: from the first
	Limit    int     // 0: 10,000
}

// Sources lists sources in the order of their ids.
func (s *Store) Sources(ctx context.Context, f SourceFilter) ([]Source, error) {
	var w where
	if f.Customer != 0 {
		w.add("customer = %s", f.Customer)
	}
	if f.Disabled {
		w.terms = append(w.terms, "NOT enabled") // as the index has it
	}
	if !f.After.IsZero() {
		w.add("id > %s", idText(f.After))
	}
	return list(ctx, s, "sources", scanSource,
		`SELECT `+sourceColumns+` FROM sources`+w.String()+` ORDER BY id`+limit(f.Limit), w.args...)
}

// NoteUse notes that a stream was asked for with an id. BeginStream and EndStream do so themselves.
func (s *Store) NoteUse(ctx context.Context, id wire.ID, now time.Time) error {
	return s.exec(ctx, "note use", ErrUnknown, `UPDATE sources SET used = $2 WHERE id = $1`, idText(id), micros(now))
}

// SetBoard keeps what a source says of itself.
func (s *Store) SetBoard(ctx context.Context, id wire.ID, b wire.Board, now time.Time) error {
	facts, err := json.Marshal(b.Limited())
	if err != nil {
		return fmt.Errorf("store: set board: %w", err)
	}
	return s.exec(ctx, "set board", ErrUnknown, `UPDATE sources SET board = $2, board_at = $3 WHERE id = $1`,
		idText(id), storable(string(facts)), micros(now))
}

// updateSource is what ChangeSource writes.
const updateSource = `UPDATE sources SET name = $2, enabled = $3 WHERE id = $1`
