// Offers of updates, and what became of each board that was offered one.

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// An Offer is one update for boards of one kind.
type Offer struct {
	ID        int64
	Bundle    string // path of the file
	Version   string // as its manifest has it
	Board     string // rpi, bbb
	Index     int64
	Share     float64 // of the boards that are offered it, 0 to 1
	Customer  int64   // whose boards alone are offered it; 0: all
	StopAfter int     // boards that fall back, after which nobody is offered it any more; 0: never
	Now       bool    // boards fetch at once, instead of at a random moment within an hour
	Enabled   bool
	Made      time.Time
}

// An OfferBoard is what became of one board of one offer.
type OfferBoard struct {
	Offer    int64
	Customer int64
	Serial   string
	Phase    string // farend/rollout's
	Token    string // in the path by which it fetches; "": none
	Bytes    int64  // of the bundle, up to the last one that it fetched
	Because  string // why it fell back
	At       time.Time
}

// OfferBoardsMax bounds the boards of an offer: a key in wrong hands could invent boards without end.
const OfferBoardsMax = 10_000

const offerColumns = `id, bundle, version, board, build, share, customer, stop_after, at_once, enabled, made`

func scanOffer(r scanner) (Offer, error) {
	var c Offer
	var customer sql.NullInt64
	var made int64
	err := r.Scan(&c.ID, &c.Bundle, &c.Version, &c.Board, &c.Index, &c.Share, &customer, &c.StopAfter, &c.Now,
		&c.Enabled, &made)
	c.Customer, c.Made = customer.Int64, timeOf(made)
	return c, err
}

func (c Offer) values() []any {
	return []any{storable(c.Bundle), storable(c.Version), storable(c.Board), c.Index, c.Share,
		sql.NullInt64{Int64: c.Customer, Valid: c.Customer != 0}, c.StopAfter, c.Now, c.Enabled}
}

// AddOffer keeps a new one and gives its ID. ErrUnknown: no such customer.
func (s *Store) AddOffer(ctx context.Context, c Offer) (int64, error) {
	var id int64
	err := s.change(ctx, "add offer", func(ctx context.Context, tx *sql.Tx) error {
		var err error
		id, err = row(ctx, tx, number, `INSERT INTO offers (bundle, version, board, build, share, customer, stop_after,
			at_once, enabled, made) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
			append(c.values(), micros(c.Made))...)
		return err
	})
	return id, err
}

// UpdateOffer changes all of one but ID and Made.
func (s *Store) UpdateOffer(ctx context.Context, c Offer) error {
	return s.exec(ctx, "update offer", ErrUnknown, `UPDATE offers SET bundle = $1, version = $2, board = $3, build = $4,
		share = $5, customer = $6, stop_after = $7, at_once = $8, enabled = $9 WHERE id = $10`,
		append(c.values(), c.ID)...)
}

// RemoveOffer forgets one with all of its boards.
func (s *Store) RemoveOffer(ctx context.Context, id int64) error {
	return s.exec(ctx, "remove offer", ErrUnknown, `DELETE FROM offers WHERE id = $1`, id)
}

// Offers lists all, by ID.
func (s *Store) Offers(ctx context.Context) ([]Offer, error) {
	return list(ctx, s, "offers", scanOffer, `SELECT `+offerColumns+` FROM offers ORDER BY id`)
}

// OfferByID gives one; ErrUnknown.
func (s *Store) OfferByID(ctx context.Context, id int64) (Offer, error) {
	return one(ctx, s, "offer", scanOffer, `SELECT `+offerColumns+` FROM offers WHERE id = $1`, id)
}

const offerBoardColumns = `offer, customer, serial, phase, token, bytes, because, at`

const ofBoard = ` FROM offer_boards WHERE offer = $1 AND customer = $2 AND serial = $3`

func scanOfferBoard(r scanner) (OfferBoard, error) {
	var c OfferBoard
	var token sql.NullString
	var at int64
	err := r.Scan(&c.Offer, &c.Customer, &c.Serial, &c.Phase, &token, &c.Bytes, &c.Because, &at)
	c.Token, c.At = token.String, timeOf(at)
	return c, err
}

// OfferBoard gives one board of an offer; ErrUnknown.
func (s *Store) OfferBoard(ctx context.Context, offer, customer int64, serial string) (OfferBoard, error) {
	return one(ctx, s, "board of offer", scanOfferBoard, `SELECT `+offerBoardColumns+ofBoard,
		offer, customer, storable(serial))
}

// OfferBoardByToken gives the board that fetches by a token; ErrUnknown.
func (s *Store) OfferBoardByToken(ctx context.Context, token string) (OfferBoard, error) {
	return one(ctx, s, "board of offer", scanOfferBoard,
		`SELECT `+offerBoardColumns+` FROM offer_boards WHERE token = $1`, storable(token))
}

// OfferBoards lists the boards of an offer, by serial number and customer; customer 0: of all.
func (s *Store) OfferBoards(ctx context.Context, offer, customer int64) ([]OfferBoard, error) {
	var w where
	w.add("offer = %s", offer)
	if customer != 0 {
		w.add("customer = %s", customer)
	}
	return list(ctx, s, "boards of offer", scanOfferBoard, `SELECT `+offerBoardColumns+` FROM offer_boards`+
		w.String()+` ORDER BY serial, customer`+limit(0), w.args...)
}

// OfferCounts says how many boards of an offer are in each phase.
func (s *Store) OfferCounts(ctx context.Context, offer int64) (map[string]int, error) {
	all, err := list(ctx, s, "count boards of offer", scanPhase, countPhases, offer)
	return countsOf(all), err
}

const countPhases = `SELECT phase, COUNT(*) FROM offer_boards WHERE offer = $1 GROUP BY phase`

// A phaseCount is how many boards are in a phase.
type phaseCount struct {
	phase string
	n     int
}

func scanPhase(r scanner) (c phaseCount, err error) {
	err = r.Scan(&c.phase, &c.n)
	return c, err
}

func countsOf(all []phaseCount) map[string]int {
	counts := map[string]int{}
	for _, one := range all {
		counts[one.phase] = one.n
	}
	return counts
}

// ChangeOfferBoard lets change decide about one board of an offer in one transaction: nobody else changes
// that offer or its boards meanwhile, in whatever process. change gets the board as it is (with no Phase
// if it is new), the offer, and how many boards are in each phase; it gives back the board as it shall be,
// and whether that is kept. It may be called several times, must not use the Store, and should be called
// only if OfferBoard says that there is something to change. ErrUnknown: no such offer or customer.
// ErrFull: too many boards.
func (s *Store) ChangeOfferBoard(ctx context.Context, offer, customer int64, serial string,
	change func(is OfferBoard, of Offer, counts map[string]int) (to OfferBoard, keep bool)) (OfferBoard, error) {
	var to OfferBoard
	serial = storable(serial)
	err := s.change(ctx, "change board of offer", func(ctx context.Context, tx *sql.Tx) error {
		of, err := row(ctx, tx, scanOffer,
			`SELECT `+offerColumns+` FROM offers WHERE id = $1`+s.engine.ForUpdate, offer)
		if err != nil {
			return err
		}
		phases, err := rows(ctx, tx, scanPhase, countPhases, offer)
		if err != nil {
			return err
		}
		counts := countsOf(phases)
		is, err := row(ctx, tx, scanOfferBoard, `SELECT `+offerBoardColumns+ofBoard, offer, customer, serial)
		known := err == nil
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
		is.Offer, is.Customer, is.Serial = offer, customer, serial
		var keep bool
		if to, keep = change(is, of, counts); !keep {
			to = is
			return nil
		}
		to.Offer, to.Customer, to.Serial = offer, customer, serial
		return putOfferBoard(ctx, tx, to, known, counts)
	})
	if err != nil {
		return OfferBoard{}, err
	}
	return to, nil
}

func putOfferBoard(ctx context.Context, tx *sql.Tx, c OfferBoard, known bool, counts map[string]int) error {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if !known && sum >= OfferBoardsMax {
		return fmt.Errorf("%d boards: %w", sum, ErrFull)
	}
	return execOne(ctx, tx, nil, `INSERT INTO offer_boards (`+offerBoardColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (offer, customer, serial) DO UPDATE SET
		phase = excluded.phase, token = excluded.token, bytes = excluded.bytes, because = excluded.because,
		at = excluded.at`,
		c.Offer, c.Customer, c.Serial, storable(c.Phase),
		sql.NullString{String: storable(c.Token), Valid: c.Token != ""},
		c.Bytes, storable(c.Because), micros(c.At))
}
