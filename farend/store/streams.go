// Streams: those that are active, and what became of those that ended.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Stream is one that was granted.
type Stream struct {
	ID            string // as in stream.Grant
	Source        wire.ID
	Customer      int64
	Server        string // the video server's name
	SSRC          uint32 // announced; 0: none
	Asker         netip.Addr
	Encrypted     bool
	Place         stream.Place
	Width, Height int
	Since         time.Time
	LastSeen      time.Time     // the grant, or the last time that the source asked whether it is captured
	Lease         time.Duration // after LastSeen; µs are kept
	Ended         time.Time     // zero: active
	Because       string        // why it ended
	Stats         stream.Stats
	StatsAt       time.Time // zero: there are no Stats yet
}

const streamColumns = `id, source, customer, server, ssrc, asker, encrypted, place, width, height,
	since, last_seen, ended, because, stats, stats_at, lease`

func scanStream(r scanner) (Stream, error) {
	var c Stream
	var source, asker, place, stats string
	var since, seen, ended, statsAt, lease int64
	err := r.Scan(&c.ID, &source, &c.Customer, &c.Server, &c.SSRC, &asker, &c.Encrypted, &place, &c.Width, &c.Height,
		&since, &seen, &ended, &c.Because, &stats, &statsAt, &lease)
	if err != nil {
		return Stream{}, err
	}
	c.Since, c.LastSeen, c.Ended, c.StatsAt = timeOf(since), timeOf(seen), timeOf(ended), timeOf(statsAt)
	c.Lease = time.Duration(lease) * time.Microsecond
	c.Source, err = idOf(source)
	err = errors.Join(err, c.Asker.UnmarshalText([]byte(asker)), json.Unmarshal([]byte(place), &c.Place))
	if statsAt != 0 {
		err = errors.Join(err, json.Unmarshal([]byte(stats), &c.Stats))
	}
	return c, err
}

// BeginStream keeps a stream that is about to be granted; its Since and LastSeen are now. camerasMax is
// the customer's limit, 0 for none. ErrActive: the source has one already. ErrCamerasMax. ErrUnknown: no
// such source of this customer. ErrExists: the stream's ID is taken.
func (s *Store) BeginStream(ctx context.Context, c Stream, camerasMax int, now time.Time) error {
	values, err := c.values(now)
	if err != nil {
		return err
	}
	return s.change(ctx, "begin stream", func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockCustomer(ctx, tx, c.Customer); err != nil {
			return err
		}
		err := execOne(ctx, tx, ErrUnknown, `UPDATE sources SET used = $3 WHERE id = $1 AND customer = $2`,
			idText(c.Source), c.Customer, micros(now))
		if err != nil {
			return err
		}
		if err := checkPlaces(ctx, tx, c, camerasMax); err != nil {
			return err
		}
		return execOne(ctx, tx, nil, `INSERT INTO streams (`+streamColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, '', '', 0, $13)`, values...)
	})
}

func (c Stream) values(now time.Time) ([]any, error) {
	place, err := json.Marshal(c.Place)
	if err != nil {
		return nil, fmt.Errorf("store: begin stream: %w", err)
	}
	asker, err := c.Asker.MarshalText()
	if err != nil {
		return nil, fmt.Errorf("store: begin stream: %w", err)
	}
	return []any{c.ID, idText(c.Source), c.Customer, storable(c.Server), int64(c.SSRC), string(asker), c.Encrypted,
		storable(string(place)), c.Width, c.Height, micros(now), micros(now), c.Lease.Microseconds()}, nil
}

// checkPlaces says whether the source, and then the customer, may have one more.
func checkPlaces(ctx context.Context, tx *sql.Tx, c Stream, camerasMax int) error {
	n, err := row(ctx, tx, number, `SELECT COUNT(*) FROM streams WHERE source = $1 AND ended = 0`, idText(c.Source))
	switch {
	case err != nil:
		return err
	case n > 0:
		return ErrActive
	case camerasMax <= 0:
		return nil
	}
	n, err = activeOf(ctx, tx, c.Customer)
	if err == nil && n >= int64(camerasMax) {
		err = fmt.Errorf("%d: %w", camerasMax, ErrCamerasMax)
	}
	return err
}

// SetPlace keeps where an active stream goes; ErrUnknown: it is over.
func (s *Store) SetPlace(ctx context.Context, id string, p stream.Place) error {
	place, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store: set place: %w", err)
	}
	return s.exec(ctx, "set place", ErrUnknown, `UPDATE streams SET place = $2 WHERE id = $1 AND ended = 0`,
		storable(id), storable(string(place)))
}

// TouchStream prolongs the lease of an active stream; ErrUnknown: it is over.
func (s *Store) TouchStream(ctx context.Context, id string, now time.Time) error {
	return s.exec(ctx, "touch stream", ErrUnknown, `UPDATE streams SET last_seen = $2 WHERE id = $1 AND ended = 0`,
		storable(id), micros(now))
}

// EndStream ends an active stream; ErrUnknown: it is over already.
func (s *Store) EndStream(ctx context.Context, id, because string, now time.Time) error {
	ended, err := s.end(ctx, "end stream", `id = $3`, because, now, storable(id))
	if err == nil && len(ended) == 0 {
		err = fmt.Errorf("store: end stream: %w", ErrUnknown)
	}
	return err
}

// EndExpired ends the active streams whose source did not ask for longer than its lease, and gives them
// back. undisturbed is for how long sources could ask: a longer lease does not run out. Of several who call
// it, each stream is given to one.
func (s *Store) EndExpired(
	ctx context.Context, undisturbed time.Duration, because string, now time.Time,
) ([]Stream, error) {
	return s.end(ctx, "end expired streams", `last_seen + lease < $3 AND lease < $4`, because, now, micros(now),
		undisturbed.Microseconds())
}

// EndStreamsOf ends the active streams of a video server that is gone or begins anew, and gives them back.
func (s *Store) EndStreamsOf(ctx context.Context, server, because string, now time.Time) ([]Stream, error) {
	return s.end(ctx, "end streams: "+server, `server = $3`, because, now, storable(server))
}

// end ends those active streams that a condition on $3 and so on chooses. Their sources were in use until now.
func (s *Store) end(
	ctx context.Context, what, condition, because string, now time.Time, args ...any,
) ([]Stream, error) {
	args = append([]any{max(micros(now), 1), storable(because)}, args...)
	var ended []Stream
	err := s.change(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		ended, err = rows(ctx, tx, scanStream, `UPDATE streams SET ended = $1, because = $2
			WHERE ended = 0 AND `+condition+` RETURNING `+streamColumns, args...)
		for _, one := range ended {
			if err == nil {
				err = execOne(ctx, tx, nil, `UPDATE sources SET used = $2 WHERE id = $1 AND used < $2`,
					idText(one.Source), micros(now))
			}
		}
		return err
	})
	return ended, err
}

// ActiveStream gives the active stream of a source; ErrUnknown: it has none.
func (s *Store) ActiveStream(ctx context.Context, source wire.ID) (Stream, error) {
	return one(ctx, s, "active stream", scanStream,
		`SELECT `+streamColumns+` FROM streams WHERE source = $1 AND ended = 0`, idText(source))
}

// StreamByID gives a stream, active or not; ErrUnknown.
func (s *Store) StreamByID(ctx context.Context, id string) (Stream, error) {
	return one(ctx, s, "stream", scanStream, `SELECT `+streamColumns+` FROM streams WHERE id = $1`, storable(id))
}

// A StreamFilter chooses streams; its zero value is all.
type StreamFilter struct {
	Customer int64   // 0: of all
	Source   wire.ID // zero: of all
	Server   string  // "": of all
	Limit    int     // 0: 10,000

	// After and AfterID are the time by which the last stream of the part before stands in the order, and
	// its ID; zero: from the first.
	After   time.Time
	AfterID string
}

// ActiveStreams lists the active ones, by Since, oldest first.
func (s *Store) ActiveStreams(ctx context.Context, f StreamFilter) ([]Stream, error) {
	return s.streams(ctx, f, "ended = 0", "since > %[1]s OR since = %[1]s AND id > %[2]s", "since, id")
}

// EndedStreams lists those that are over, by Ended, latest first.
func (s *Store) EndedStreams(ctx context.Context, f StreamFilter) ([]Stream, error) {
	return s.streams(ctx, f, "ended > 0", "ended < %[1]s OR ended = %[1]s AND id > %[2]s", "ended DESC, id")
}

// streams lists those of a condition; behind says which come after the first argument's time and the second's
// ID in the order.
func (s *Store) streams(ctx context.Context, f StreamFilter, condition, behind, order string) ([]Stream, error) {
	w := where{terms: []string{condition}}
	if !f.After.IsZero() {
		w.args = []any{micros(f.After), storable(f.AfterID)}
		w.terms = append(w.terms, fmt.Sprintf("("+behind+")", "$1", "$2"))
	}
	if f.Customer != 0 {
		w.add("customer = %s", f.Customer)
	}
	if !f.Source.IsZero() {
		w.add("source = %s", idText(f.Source))
	}
	if f.Server != "" {
		w.add("server = %s", storable(f.Server))
	}
	return list(ctx, s, "streams", scanStream,
		`SELECT `+streamColumns+` FROM streams`+w.String()+` ORDER BY `+order+limit(f.Limit), w.args...)
}
