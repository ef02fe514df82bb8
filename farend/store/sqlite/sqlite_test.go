package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/storetest"
)

func opened(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		path := filepath.Join(t.TempDir(), "state of 100 % ?.db")
		return func(t testing.TB) *store.Store { return opened(t, path) }
	})
}

func TestDatabaseOfTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	name, err := fileURL(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pool(name, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.RunFirstSchema(t, db, serial, func(t testing.TB) *store.Store { return opened(t, path) })
	checkIntegrity(t, path)
}

func TestStoreInMemory(t *testing.T) {
	s := opened(t, "")
	id, err := s.AddCustomer(t.Context(), store.Customer{Name: "anna", KeyHash: store.HashKey("k")})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				one, err := s.AddSource(t.Context(), id, store.SourceLimits{Max: 1000}, time.Now())
				if err == nil {
					_, err = s.SourceByID(t.Context(), one.ID)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("a database in memory made a backup")
	}
}

func TestBackupWhileItIsUsed(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, filepath.Join(dir, "state.db"))
	id, err := s.AddCustomer(t.Context(), store.Customer{Name: "anna", KeyHash: store.HashKey("k")})
	if err != nil {
		t.Fatal(err)
	}
	limits := store.SourceLimits{Max: 10_000}
	before, err := s.AddSource(t.Context(), id, limits, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	done, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.AddSource(t.Context(), id, limits, time.Now()); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	path := filepath.Join(dir, "copy.db")
	err = s.Backup(t.Context(), path)
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second backup to the same name: %v, want fs.ErrExist", err)
	}
	if i, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && i.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v, %v, want mode 0600", i.Mode(), err)
	}
	if _, err := opened(t, path).SourceByID(t.Context(), before.ID); err != nil {
		t.Error(err)
	}
	checkIntegrity(t, path)
}

// checkIntegrity has SQLite look through a whole file.
func checkIntegrity(t testing.TB, path string) {
	t.Helper()
	name, err := fileURL(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pool(name, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT COUNT(*) || '' FROM pragma_foreign_key_check"} {
		var says string
		err := db.QueryRowContext(t.Context(), check).Scan(&says)
		if err != nil || says != "ok" && says != "0" {
			t.Errorf("%s says %q, %v", check, says, err)
		}
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path)
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open = %v, want ErrUnavailable and the path", err)
	}
	if _, err := Open(t.Context(), filepath.Join(path, "below")); err == nil {
		t.Error("a file below a file was opened")
	}
}

func TestALaterSchemaIsRefusedInWords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	name, err := fileURL(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pool(name, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `UPDATE settings SET value = '99' WHERE name = 'schema'`); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path)
	if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "its schema is 99, this program knows") {
		t.Errorf("Open = %v, want ErrSchema with both numbers", err)
	}
	if _, err := s.Customers(t.Context()); err != nil {
		t.Errorf("whoever has it open goes on: %v", err)
	}
}

func BenchmarkStore(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	storetest.Benchmark(b, func(t testing.TB) *store.Store { return opened(t, path) })
}

func TestFailuresAreCountedByOperation(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CustomerByID(t.Context(), 7); !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.Customers(left); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := s.Failures(); len(n) != 0 {
		t.Errorf("a customer that is unknown and a caller that left count as %v", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Heartbeat(t.Context(), store.Server{Name: "secret"}); err == nil {
			t.Fatal("a database that is closed takes a heartbeat")
		}
	}
	if n := s.Failures(); len(n) != 1 || n["heartbeat"] != 2 {
		t.Errorf("failures %v, want 2 of heartbeat", n)
	}
}
