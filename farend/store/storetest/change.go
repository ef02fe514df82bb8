// Changes that are decided by what is kept.

package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func testChanges(t *testing.T, open Opener) {
	ctx, s := t.Context(), open(t)
	other := open(t)
	c := customer(t, s, "a")
	customer(t, s, "b")
	const each = 20
	var both sync.WaitGroup
	for _, one := range []*store.Store{s, other} { // none of their changes is lost
		both.Go(func() {
			for range each {
				_, err := one.ChangeCustomer(ctx, c.ID, func(c *store.Customer) error { c.CamerasMax++; return nil })
				ok(t, err)
			}
		})
	}
	both.Wait()
	got := get[store.Customer](t)(s.CustomerByID(ctx, c.ID))
	same(t, "cameras", got.CamerasMax, c.CamerasMax+2*each)

	mine := errors.New("mine")
	_, err := s.ChangeCustomer(ctx, c.ID, func(c *store.Customer) error { c.Name = "z"; return mine })
	want(t, "a change that its caller refuses", err, mine)
	_, err = s.ChangeCustomer(ctx, c.ID, func(c *store.Customer) error { c.Name = "b"; return nil })
	want(t, "a name that is taken", err, store.ErrExists)
	_, err = s.ChangeCustomer(ctx, c.ID+1000, func(*store.Customer) error { return nil })
	want(t, "no such customer", err, store.ErrUnknown)
	same(t, "name", get[store.Customer](t)(s.CustomerByID(ctx, c.ID)).Name, "a")

	from := source(t, s, c, at(0))
	is, err := s.ChangeSource(ctx, from.ID, func(s *store.Source) error {
		s.Name, s.Enabled, s.Customer = "n", false, 99
		return nil
	})
	ok(t, err)
	same(t, "source", [3]any{is.Name, is.Enabled, is.Customer}, [3]any{"n", false, c.ID})
	_, err = s.ChangeSource(ctx, wire.TextID("none"), func(*store.Source) error { return nil })
	want(t, "no such source", err, store.ErrUnknown)
}

func testStreamsInParts(t *testing.T, open Opener) {
	ctx, s := t.Context(), open(t)
	c := customer(t, s, "a")
	for n := range 8 { // two of each time
		begin(t, s, granted(streamID(n), source(t, s, c, at(0))), at(time.Duration(n/2)*time.Second))
	}
	inParts(t, "active", s.ActiveStreams, func(s store.Stream) time.Time { return s.Since })
	for n := range 8 {
		ok(t, s.EndStream(ctx, streamID(n), "test", at(time.Duration(n/2)*time.Minute)))
	}
	inParts(t, "ended", s.EndedStreams, func(s store.Stream) time.Time { return s.Ended })
}

func inParts(t *testing.T, what string, list func(context.Context, store.StreamFilter) ([]store.Stream, error),
	order func(store.Stream) time.Time) {
	t.Helper()
	all := get[[]store.Stream](t)(list(t.Context(), store.StreamFilter{}))
	f := store.StreamFilter{Limit: 3}
	var parts []store.Stream
	for range 3 {
		part := get[[]store.Stream](t)(list(t.Context(), f))
		parts = append(parts, part...)
		f.After, f.AfterID = order(part[len(part)-1]), part[len(part)-1].ID
	}
	same(t, what+" streams in parts of three", len(parts), len(all))
	for i := range all {
		same(t, what+" stream", parts[i].ID, all[i].ID)
	}
}
