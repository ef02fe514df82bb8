// Package postgres opens a store.Store in a PostgreSQL, which several camservers may share.
//
// It owns the connections, which store.Store closes, and no goroutine. Connections that broke are
// replaced as soon as the server is back; meanwhile each call fails within callTimeout. It needs
// PostgreSQL 12 or later, and a role that may make tables in the database's first schema.
//
// Sources: PostgreSQL 15 manual, sections 13.3 (locks) and 34.1.1 (URLs), appendix A (error codes).
package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/krazycam/krazycam/farend/store"
)

const (
	callTimeout    = 5 * time.Second
	connectTimeout = 3 * time.Second

	// connections is how many one process has. A PostgreSQL allows 100 in all, if nobody changed that.
	connections     = 10
	connectionIdle  = 5 * time.Minute
	connectionTotal = time.Hour // then it is made anew, by what the name of the host means then

	// lockTimeout frees what a process has locked that stands still in the middle of a transaction.
	lockTimeout = 30 * time.Second
)

// serial is the type of a column that numbers its rows.
const serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

// schemaLock is the number of the lock that who migrates holds: the first letters of the project.
const schemaLock = `SELECT pg_advisory_xact_lock(7021781)`

// Open opens the database of a URL, postgres://USER:PASSWORD@HOST/DATABASE, or of libpq's words.
func Open(ctx context.Context, url string) (*store.Store, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err) // pgx leaves the password out
	}
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTimeout {
		c.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name":                    "krazycam",
		"idle_in_transaction_session_timeout": fmt.Sprint(lockTimeout.Milliseconds()),
	} {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(connectionIdle)
	db.SetConnMaxLifetime(connectionTotal)
	s, err := store.New(ctx, store.Engine{
		Name: "PostgreSQL", Write: db, Read: db, Timeout: callTimeout, Classify: classify, Backup: backup,
		Serial:     serial,
		ForUpdate:  " FOR NO KEY UPDATE", // rows that refer to this one may come meanwhile
		LockSchema: schemaLock,
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return s, nil
}

var errBackup = errors.New("PostgreSQL makes its own: run pg_dump --format=custom --file=FILE URL")

func backup(context.Context, string) error { return errBackup }

// classify goes by the SQLSTATE; whatever has none happened on the way to the server.
func classify(err error) store.Class {
	var e *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &connect):
		return store.Unavailable
	case errors.As(err, &e):
		return classOf(e.Code)
	case isConnection(err):
		return store.Lost
	}
	return store.Other
}

func classOf(code string) store.Class {
	switch code {
	case "23505": // unique_violation
		return store.Duplicate
	case "23503": // foreign_key_violation
		return store.Dangling
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return store.Conflict
	case "57P01", "57P02", "25P03": // admin_shutdown, crash_shutdown, idle_in_transaction_session_timeout
		return store.Lost
	case "25006": // read_only_sql_transaction: a standby
		return store.Unavailable
	}
	switch code[:min(len(code), 2)] {
	case "08", "28", "3D", "53", "57", "58", "XX": // connection, login, database, resources, operator, system, internal
		return store.Unavailable
	}
	return store.Other
}

// isConnection says whether the connection broke, of which the server itself said nothing.
func isConnection(err error) bool {
	var n net.Error
	for _, one := range []error{io.EOF, io.ErrUnexpectedEOF, pgconn.ErrConnClosed, driver.ErrBadConn, net.ErrClosed} {
		if errors.Is(err, one) {
			return true
		}
	}
	return errors.As(err, &n) || pgconn.SafeToRetry(err)
}
