// Package sqlite opens a store.Store in one file, which SQLite keeps: nothing to install, nothing to
// start. Several processes of one machine may use it at once; it must not lie on a network's file system.
//
// One connection writes and several read (WAL). What is acknowledged survives the end of the process at
// any moment. A power cut may cost the last changes, never the file (synchronous NORMAL); customers, sources
// and settings it does not cost: after a change of these the WAL is synced, with all before it. It owns the
// connections, which store.Store closes, and no goroutine.
//
// Sources: sqlite.org/wal.html, sqlite.org/pragma.html, sqlite.org/rescode.html.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	// busyTimeout is how long a transaction waits for another process that writes.
	busyTimeout = 5 * time.Second
	callTimeout = 2 * busyTimeout

	// readers is how many read at once, beside the one that writes.
	readers = 4
)

// serial is the type of a column that numbers its rows: no number comes a second time.
const serial = "INTEGER PRIMARY KEY AUTOINCREMENT"

// Open opens the file at path, or makes it, readable for its owner alone; its folder must be there. "" is
// a database in memory, which Close forgets.
func Open(ctx context.Context, path string) (*store.Store, error) {
	e := store.Engine{
		Name: "SQLite", Serial: serial, Timeout: callTimeout, Classify: classify,
		Backup: func(ctx context.Context, to string) error { return backup(ctx, path, to) },
	}
	if path != "" {
		// SQLite's locks are on other files, so that closing this one frees none (sqlite.org/lockingv3.html).
		e.Sync = func() error { return syncFile(path + "-wal") }
	}
	err := openPools(&e, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	s, err := store.New(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return s, nil
}

func openPools(e *store.Engine, path string) error {
	if path == "" {
		db, err := pool("file::memory:", 1)
		e.Write, e.Read = db, db
		return err
	}
	f, err := openfile.Append(path, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	name, err := fileURL(path)
	if err != nil {
		return err
	}
	if e.Write, err = pool(name, 1); err != nil {
		return err
	}
	if e.Read, err = pool(name, readers); err != nil {
		return errors.Join(err, e.Write.Close())
	}
	return nil
}

// fileURL names a file as SQLite wants it (sqlite.org/uri.html).
func fileURL(path string) (string, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	whole = filepath.ToSlash(whole)
	if whole[0] != '/' {
		whole = "/" + whole // C:/…
	}
	return "file://" + (&url.URL{Path: whole}).EscapedPath(), nil
}

// pool is a pool of n connections, which stay open: a database in memory ends with the last of them.
func pool(name string, n int) (*sql.DB, error) {
	settings := url.Values{
		"_txlock": {"immediate"}, // who writes waits at the beginning, not in the middle, where it would fail
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)",
			"journal_size_limit(16777216)", // what a WAL keeps after a burst, in bytes
		},
	}
	c, err := sqlite.NewConnector(name + "?" + settings.Encode())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// classify goes by the result codes of SQLite: the lowest byte of an extended one.
func classify(err error) store.Class {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return store.Other
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return store.Duplicate
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return store.Dangling
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_PROTOCOL:
		return store.Unavailable
	}
	return store.Other
}

var errMemory = errors.New("a database in memory has no backup: give it a file")

// backup writes a file of its own and renames it, so that what stands at to is whole.
func backup(ctx context.Context, path, to string) (err error) {
	if path == "" {
		return errMemory
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", to, errors.Join(err, fs.ErrExist))
	}
	name, err := fileURL(path)
	if err != nil {
		return err
	}
	db, err := pool(name, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	part := to + ".part"
	if err := errors.Join(removed(part), syncFile(part)); err != nil { // empty, and its owner's alone
		return err
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, part); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", part, err), removed(part))
	}
	return publish(part, to)
}

// publish makes a file durable and gives it its name.
func publish(part, to string) error {
	err := syncFile(part)
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return errors.Join(err, removed(part))
	}
	return atomicfile.SyncFolder(filepath.Dir(to))
}

// syncFile makes what was written to a file durable, or makes an empty one.
func syncFile(path string) error {
	f, err := openfile.Append(path, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
