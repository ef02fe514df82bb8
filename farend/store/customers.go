// Customers: an API key and what it allows.

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Customer is whoever has an API key.
type Customer struct {
	ID          int64
	Name        string        // unique
	KeyHash     string        // HashKey of the API key, unique; the key itself is kept nowhere
	CamerasMax  int           // streams at once; 0: no limit
	Analyses    []string      // that the customer may have
	ValidUntil  time.Time     // zero: for ever
	Enabled     bool          // false: refused as if the key were unknown
	RecordBytes int64         // of recordings that are kept; 0: the server's default, negative: records nothing
	RecordAge   time.Duration // of recordings that are kept; the same
	Made        time.Time
}

// Valid says whether the key may be used.
func (c Customer) Valid(now time.Time) bool {
	return c.Enabled && (c.ValidUntil.IsZero() || now.Before(c.ValidUntil))
}

// HashKey is the hex SHA-256 of an API key.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

const customerColumns = `id, name, key_hash, cameras_max, analyses, valid_until, enabled, record_bytes, record_age,
	made`

func scanCustomer(r scanner) (Customer, error) {
	var c Customer
	var analyses string
	var until, age, made int64
	err := r.Scan(&c.ID, &c.Name, &c.KeyHash, &c.CamerasMax, &analyses, &until, &c.Enabled, &c.RecordBytes, &age, &made)
	if err != nil {
		return Customer{}, err
	}
	c.ValidUntil, c.RecordAge, c.Made = timeOf(until), time.Duration(age), timeOf(made)
	err = json.Unmarshal([]byte(analyses), &c.Analyses)
	return c, err
}

// values are those of the columns after id. ErrCustomer.
func (c Customer) values() ([]any, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("customer %q: %w", c.Name, err)
	}
	name := storable(strings.TrimSpace(c.Name))
	list := c.Analyses
	if list == nil {
		list = []string{}
	}
	analyses, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("store: customer %q: %w", c.Name, err)
	}
	return []any{name, strings.ToLower(c.KeyHash), c.CamerasMax, storable(string(analyses)), micros(c.ValidUntil),
		c.Enabled, c.RecordBytes, int64(c.RecordAge), micros(c.Made)}, nil
}

// AddCustomer keeps a new one and gives its ID. ErrExists: the name or the key is taken.
func (s *Store) AddCustomer(ctx context.Context, c Customer) (int64, error) {
	values, err := c.values()
	if err != nil {
		return 0, err
	}
	var id int64
	err = s.lasting(ctx, "add customer: "+c.Name, func(ctx context.Context, tx *sql.Tx) error {
		id, err = row(ctx, tx, number, `INSERT INTO customers (name, key_hash, cameras_max, analyses, valid_until,
			enabled, record_bytes, record_age, made)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`, values...)
		return err
	})
	return id, err
}

// updateCustomer is what ChangeCustomer writes.
const updateCustomer = `UPDATE customers SET name = $1, key_hash = $2,
	cameras_max = $3, analyses = $4, valid_until = $5, enabled = $6, record_bytes = $7, record_age = $8
	WHERE id = $9`

// RemoveCustomer forgets one with its sources, the streams that they had, and results. ErrActive: one of
// its streams is active.
func (s *Store) RemoveCustomer(ctx context.Context, id int64) error {
	return s.lasting(ctx, "remove customer", func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockCustomer(ctx, tx, id); err != nil {
			return err
		}
		n, err := activeOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("customer %d: %w", id, ErrActive)
		}
		return execOne(ctx, tx, ErrUnknown, `DELETE FROM customers WHERE id = $1`, id)
	})
}

// lockCustomer keeps others from changing a customer, and from adding to what is counted of it.
func (s *Store) lockCustomer(ctx context.Context, tx *sql.Tx, id int64) error {
	_, err := row(ctx, tx, number, `SELECT id FROM customers WHERE id = $1`+s.engine.ForUpdate, id)
	return err
}

func activeOf(ctx context.Context, tx *sql.Tx, customer int64) (int64, error) {
	return row(ctx, tx, number, `SELECT COUNT(*) FROM streams WHERE customer = $1 AND ended = 0`, customer)
}

// Customers lists all, by ID.
func (s *Store) Customers(ctx context.Context) ([]Customer, error) {
	return list(ctx, s, "customers", scanCustomer, `SELECT `+customerColumns+` FROM customers ORDER BY id`)
}

// CustomerByID gives one; ErrUnknown.
func (s *Store) CustomerByID(ctx context.Context, id int64) (Customer, error) {
	return one(ctx, s, "customer", scanCustomer, `SELECT `+customerColumns+` FROM customers WHERE id = $1`, id)
}

// CustomerByKey gives the one whose key has this HashKey; ErrUnknown.
func (s *Store) CustomerByKey(ctx context.Context, hash string) (Customer, error) {
	return one(ctx, s, "customer", scanCustomer, `SELECT `+customerColumns+` FROM customers WHERE key_hash = $1`,
		storable(hash))
}

// CustomerByName gives one; ErrUnknown.
func (s *Store) CustomerByName(ctx context.Context, name string) (Customer, error) {
	return one(ctx, s, "customer", scanCustomer, `SELECT `+customerColumns+` FROM customers WHERE name = $1`,
		storable(name))
}
