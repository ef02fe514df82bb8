// Events, for people; and how long the past is kept.

package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An Event is something that an operator may want to read later.
type Event struct {
	ID       int64
	At       time.Time
	Customer int64   // 0: of none
	Source   wire.ID // zero: of none
	Stream   string  // "": of none
	Kind     string
	Words    string
}

const eventColumns = `id, at, customer, source, stream, kind, words`

// eventWordsMax is the longest text of an event, in bytes.
const eventWordsMax = 1000

func scanEvent(r scanner) (Event, error) {
	var c Event
	var at int64
	var source string
	if err := r.Scan(&c.ID, &at, &c.Customer, &source, &c.Stream, &c.Kind, &c.Words); err != nil {
		return Event{}, err
	}
	c.At = timeOf(at)
	var err error
	c.Source, err = idOf(source)
	return c, err
}

// AddEvent keeps an event; the database gives its ID.
func (s *Store) AddEvent(ctx context.Context, c Event) error {
	words := storable(c.Words[:min(len(c.Words), eventWordsMax)])
	return s.exec(ctx, "add event", nil,
		`INSERT INTO events (at, customer, source, stream, kind, words) VALUES ($1, $2, $3, $4, $5, $6)`,
		micros(c.At), c.Customer, idText(c.Source), storable(c.Stream), storable(c.Kind), words)
}

// An EventFilter chooses events; its zero value is all.
type EventFilter struct {
	Customer int64   // 0: of all
	Source   wire.ID // zero: of all
	Stream   string  // "": of all
	Kind     string  // "": of all
	Since    time.Time
	Before   int64 // those before the one of this ID, to read on; 0: from the latest
}

// Events lists the latest max events, latest first; 0: 10,000.
func (s *Store) Events(ctx context.Context, f EventFilter, max int) ([]Event, error) {
	var w where
	if f.Customer != 0 {
		w.add("customer = %s", f.Customer)
	}
	if !f.Source.IsZero() {
		w.add("source = %s", idText(f.Source))
	}
	if f.Stream != "" {
		w.add("stream = %s", storable(f.Stream))
	}
	if f.Kind != "" {
		w.add("kind = %s", storable(f.Kind))
	}
	if !f.Since.IsZero() {
		w.add("at >= %s", micros(f.Since))
	}
	if f.Before != 0 {
		w.add("id < %s", f.Before)
	}
	return list(ctx, s, "events", scanEvent,
		`SELECT `+eventColumns+` FROM events`+w.String()+` ORDER BY id DESC`+limit(max), w.args...)
}

// A Retention says how much of the past is kept.
type Retention struct {
	Before  time.Time // older events, streams that ended and servers that fell silent earlier go
	Events  int       // the latest that are kept; 0: no limit but Before
	Streams int       // the latest ended ones that are kept; 0: no limit but Before
}

// pruneMax is what goes of each kind in one transaction, so that nobody waits long for it.
const pruneMax = 5000

// Prune forgets the past beyond r and says how many records went; more is true if there is more to forget:
// then call it again after others had their turn.
func (s *Store) Prune(ctx context.Context, r Retention) (gone int, more bool, err error) {
	err = s.change(ctx, "prune", func(ctx context.Context, tx *sql.Tx) error {
		gone, more = 0, false
		for _, one := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < $1 LIMIT 5000)`,
				[]any{micros(r.Before)}},
			{`DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id DESC LIMIT 5000 OFFSET $1)`,
				beyond(r.Events)},
			{`DELETE FROM streams WHERE id IN (SELECT id FROM streams WHERE ended > 0 AND ended < $1 LIMIT 5000)`,
				[]any{micros(r.Before)}},
			{`DELETE FROM streams WHERE id IN (SELECT id FROM streams WHERE ended > 0 ORDER BY ended DESC, id
				LIMIT 5000 OFFSET $1)`, beyond(r.Streams)},
			{`DELETE FROM servers WHERE seen_at < $1`, []any{micros(r.Before)}},
		} {
			if len(one.args) == 0 {
				continue
			}
			result, err := tx.ExecContext(ctx, one.query, one.args...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			gone, more = gone+int(n), more || n >= pruneMax
		}
		return nil
	})
	return gone, more, err
}

func beyond(kept int) []any {
	if kept <= 0 {
		return nil
	}
	return []any{kept}
}
