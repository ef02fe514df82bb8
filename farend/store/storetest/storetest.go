// Package storetest has the tests that every engine of farend/store passes: one set, which each engine's
// own tests run.
//
// It is for tests alone and owns nothing but what it puts into the stores that it is given.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An Opener opens an empty database, which the test's end closes and removes; called again with the same
// testing.TB it opens the same one once more, as another process would.
type Opener func(t testing.TB) *store.Store

// Run runs all tests. fresh makes an Opener of a database that nobody else uses.
func Run(t *testing.T, fresh func(t testing.TB) Opener) {
	for _, one := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"customers", testCustomers},
		{"a customer goes with what it has", testRemoveCustomer},
		{"sources", testSources},
		{"a source gives way that is needed least", testEviction},
		{"odd texts and ids come back or are unknown", testOddTexts},
		{"a stream from its grant to its end", testStream},
		{"a source has one stream, a customer its cameras", testLimits},
		{"streams end once", testExpiry},
		{"statistics", testStats},
		{"the writer of statistics", testStatsWriter},
		{"the writer of statistics in an outage", testStatsWriterOutage},
		{"streams in parts", testStreamsInParts},
		{"changes that are decided by what is kept", testChanges},
		{"servers", testServers},
		{"events", testEvents},
		{"the past goes", testPrune},
		{"analyses", testAnalyses},
		{"offers", testOffers},
		{"boards of an offer", testOfferBoards},
		{"settings", testSettings},
		{"ids of earlier versions", testImport},
		{"many at once, of two processes", testConcurrency},
		{"a database that is opened again", testReopen},
		{"whoever gives up is not told of the database", testCancel},
	} {
		t.Run(one.name, func(t *testing.T) { one.test(t, fresh(t)) })
	}
}

// noon is a time like any other, in whole µs, as a Store keeps it.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 123_456_000, time.UTC)

func at(after time.Duration) time.Time { return noon.Add(after) }

// customer adds one.
func customer(t testing.TB, s *store.Store, name string) store.Customer {
	t.Helper()
	c := store.Customer{Name: name, KeyHash: store.HashKey("key of " + name), Enabled: true, Made: noon}
	id, err := s.AddCustomer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.ID = id
	return c
}

var roomy = store.SourceLimits{Max: 1000, UnusedKeep: time.Minute, UsedKeep: 24 * time.Hour}

func source(t testing.TB, s *store.Store, c store.Customer, now time.Time) store.Source {
	t.Helper()
	one, err := s.AddSource(t.Context(), c.ID, roomy, now)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// granted is a stream as a gateway begins it.
func granted(id string, of store.Source) store.Stream {
	return store.Stream{ID: id, Source: of.ID, Customer: of.Customer, Server: "one", SSRC: 4_000_000_000,
		Asker: netip.MustParseAddr("2001:db8::5"), Encrypted: true, Width: 640, Height: 480}
}

func begin(t testing.TB, s *store.Store, c store.Stream, now time.Time) {
	t.Helper()
	if err := s.BeginStream(t.Context(), c, 0, now); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same compares what is kept with what came back.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	d := cmp.Diff(want, got, cmpopts.EquateComparable(wire.ID{}, netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty())
	if d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func get[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func testSettings(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	_, err := s.Setting(ctx, "colour")
	want(t, "a setting that was never set", err, store.ErrUnknown)
	ok(t, s.SetSetting(ctx, "colour", "green"))
	ok(t, s.SetSetting(ctx, "colour", "blue"))
	same(t, "setting", get[string](t)(s.Setting(ctx, "colour")), "blue")
	same(t, "secret of the first", get[string](t)(s.InitSetting(ctx, "secret", "first")), "first")
	same(t, "secret of the second", get[string](t)(open(t).InitSetting(ctx, "secret", "second")), "first")
	want(t, "the store's own setting", s.SetSetting(ctx, "schema", "99"), store.ErrExists)
	ok(t, s.Ping(ctx))
}

func testReopen(t *testing.T, open Opener) {
	first, ctx := open(t), t.Context()
	c := customer(t, first, "anna")
	// Opened again, it is as it was.
	same(t, "customer", get[store.Customer](t)(open(t).CustomerByID(ctx, c.ID)), c)
}

func testCancel(t *testing.T, open Opener) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Customers(ctx)
	want(t, "a cancelled call", err, context.Canceled)
	if errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a cancelled call says %v", err)
	}
	want(t, "a cancelled change", s.SetSetting(ctx, "colour", "red"), context.Canceled)
	ok(t, s.SetSetting(t.Context(), "colour", "red"))
}

// streamID is a stream's ID by number.
func streamID(n int) string { return fmt.Sprintf("stream%04d", n) }
