// Servers, events, analyses, offers.

package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

func testServers(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one := store.Server{Name: "one", Host: "v1.example", Control: "https://v1.example:8081", Secret: "s", Version: "v2",
		Capacity: 50, Streams: 3, SeenAt: noon}
	two := store.Server{Name: "two", Capacity: 10, SeenAt: at(time.Minute)}
	ok(t, s.Heartbeat(ctx, one))
	ok(t, s.Heartbeat(ctx, two))
	same(t, "servers", get[[]store.Server](t)(open(t).Servers(ctx, time.Time{})), []store.Server{one, two})
	same(t, "alive", get[[]store.Server](t)(s.Servers(ctx, at(30*time.Second))), []store.Server{two})

	begin(t, s, granted("a", source(t, s, customer(t, s, "anna"), noon)), noon)
	one.Streams, one.SeenAt, one.Granted, one.Version = 4, at(2*time.Minute), 1, "v3"
	ok(t, s.Heartbeat(ctx, one))
	same(t, "again", get[[]store.Server](t)(s.Servers(ctx, at(90*time.Second))), []store.Server{one})
	ok(t, s.RemoveServer(ctx, "one"))
	ok(t, s.RemoveServer(ctx, "one"))
	same(t, "left", get[[]store.Server](t)(s.Servers(ctx, time.Time{})), []store.Server{two})
}

func testEvents(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	board := source(t, s, anna, noon)
	all := []store.Event{
		{At: noon, Kind: "started", Words: "the server started"},
		{At: at(time.Second), Customer: anna.ID, Source: board.ID, Stream: "s1", Kind: "granted", Words: "640x480"},
		{At: at(2 * time.Second), Customer: anna.ID, Kind: "refused", Words: "4091"},
		{At: at(3 * time.Second), Customer: anna.ID + 1, Kind: "refused", Words: "4011"},
	}
	for _, one := range all {
		ok(t, s.AddEvent(ctx, one))
	}
	kept := get[[]store.Event](t)(s.Events(ctx, store.EventFilter{}, 0))
	if len(kept) != len(all) {
		t.Fatalf("%d events, want %d", len(kept), len(all))
	}
	for i := range all {
		all[i].ID = kept[len(kept)-1-i].ID
		same(t, "event", kept[len(kept)-1-i], all[i])
	}
	for _, c := range []struct {
		name   string
		filter store.EventFilter
		want   []store.Event
	}{
		{"of a customer", store.EventFilter{Customer: anna.ID}, []store.Event{all[2], all[1]}},
		{"of a source", store.EventFilter{Source: board.ID}, []store.Event{all[1]}},
		{"of a stream", store.EventFilter{Stream: "s1"}, []store.Event{all[1]}},
		{"of a kind", store.EventFilter{Kind: "refused"}, []store.Event{all[3], all[2]}},
		{"since", store.EventFilter{Since: at(2 * time.Second)}, []store.Event{all[3], all[2]}},
		{"before another", store.EventFilter{Before: all[2].ID}, []store.Event{all[1], all[0]}},
		{"all at once", store.EventFilter{Customer: anna.ID, Kind: "refused", Since: noon, Before: all[3].ID},
			[]store.Event{all[2]}},
	} {
		same(t, c.name, get[[]store.Event](t)(s.Events(ctx, c.filter, 10)), c.want)
	}
	same(t, "the latest", get[[]store.Event](t)(s.Events(ctx, store.EventFilter{}, 1)), []store.Event{all[3]})
}

func testPrune(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	board, other := source(t, s, anna, noon), source(t, s, anna, noon)
	for i := range 10 {
		now := at(time.Duration(i) * time.Minute)
		ok(t, s.AddEvent(ctx, store.Event{At: now, Kind: "k"}))
		begin(t, s, granted(streamID(i), board), now)
		ok(t, s.EndStream(ctx, streamID(i), "over", now.Add(time.Second)))
		ok(t, s.Heartbeat(ctx, store.Server{Name: streamID(i), SeenAt: now}))
	}
	begin(t, s, granted("active", other), noon)
	count := func(events, streams, servers int) {
		t.Helper()
		if n := len(get[[]store.Event](t)(s.Events(ctx, store.EventFilter{}, 0))); n != events {
			t.Errorf("%d events, want %d", n, events)
		}
		if n := len(get[[]store.Stream](t)(s.EndedStreams(ctx, store.StreamFilter{}))); n != streams {
			t.Errorf("%d ended streams, want %d", n, streams)
		}
		if n := len(get[[]store.Server](t)(s.Servers(ctx, time.Time{}))); n != servers {
			t.Errorf("%d servers, want %d", n, servers)
		}
		get[store.Stream](t)(s.StreamByID(ctx, "active"))
	}
	count(10, 10, 10)
	gone, more, err := s.Prune(ctx, store.Retention{Before: at(3 * time.Minute)})
	if gone != 9 || more || err != nil {
		t.Errorf("Prune by age = %d, %v, %v, want 9", gone, more, err)
	}
	count(7, 7, 7)
	if _, _, err := s.Prune(ctx, store.Retention{Events: 4, Streams: 2}); err != nil {
		t.Error(err)
	}
	count(4, 2, 7)
	latest := get[[]store.Stream](t)(s.EndedStreams(ctx, store.StreamFilter{}))
	same(t, "what is left", []string{latest[0].ID, latest[1].ID}, []string{streamID(9), streamID(8)})
}

func testAnalyses(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	board := source(t, s, customer(t, s, "anna"), noon)
	_, err := s.Analysis(ctx, board.ID)
	want(t, "before the first", err, store.ErrUnknown)
	one := store.Analysis{Source: board.ID, At: noon, Data: []byte(`[{"face":[1,2.5,"ä"]}]`), PerSecond: 24.5,
		Delay: 90 * time.Millisecond}
	ok(t, s.PutAnalysis(ctx, one))
	one.At, one.Data = at(time.Second), []byte(`[]`)
	ok(t, s.PutAnalysis(ctx, one))
	same(t, "the latest", get[store.Analysis](t)(open(t).Analysis(ctx, board.ID)), one)
	want(t, "of a source that is not there", s.PutAnalysis(ctx, store.Analysis{Data: []byte("{}")}), store.ErrUnknown)
	for _, bad := range [][]byte{nil, []byte("{"), append([]byte(`"`), make([]byte, store.AnalysisMax)...)} {
		if s.PutAnalysis(ctx, store.Analysis{Source: board.ID, Data: bad}) == nil {
			t.Errorf("%d bytes were taken, %.9q", len(bad), bad)
		}
	}
}

func testOffers(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	all := store.Offer{Bundle: "/var/lib/u/v2.update", Version: "v2", Board: "rpi", Index: 170, Share: 0.05,
		StopAfter: 3,
		Now:       true, Enabled: true, Made: noon}
	all.ID = get[int64](t)(s.AddOffer(ctx, all))
	hers := store.Offer{Version: "v3", Board: "bbb", Share: 1, Customer: anna.ID}
	hers.ID = get[int64](t)(s.AddOffer(ctx, hers))
	same(t, "offers", get[[]store.Offer](t)(open(t).Offers(ctx)), []store.Offer{all, hers})
	all.Share, all.Enabled, all.Customer = 1, false, anna.ID
	ok(t, s.UpdateOffer(ctx, all))
	same(t, "changed", get[store.Offer](t)(s.OfferByID(ctx, all.ID)), all)
	_, err := s.AddOffer(ctx, store.Offer{Customer: 99})
	want(t, "an offer for nobody", err, store.ErrUnknown)
	ok(t, s.RemoveOffer(ctx, all.ID))
	want(t, "second removal", s.RemoveOffer(ctx, all.ID), store.ErrUnknown)
	want(t, "change of one that is gone", s.UpdateOffer(ctx, all), store.ErrUnknown)
	ok(t, s.RemoveCustomer(ctx, anna.ID))
	same(t, "offers", get[[]store.Offer](t)(s.Offers(ctx)), nil)
}

func testOfferBoards(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna, bert := customer(t, s, "anna"), customer(t, s, "bert")
	id := get[int64](t)(s.AddOffer(ctx, store.Offer{Version: "v2", Board: "rpi", Share: 1,
		StopAfter: 3, Enabled: true}))
	move := func(s *store.Store, c store.Customer, serial, phase, token string) store.OfferBoard {
		t.Helper()
		return get[store.OfferBoard](t)(s.ChangeOfferBoard(ctx, id, c.ID, serial,
			func(is store.OfferBoard, of store.Offer, counts map[string]int) (store.OfferBoard, bool) {
				is.Phase, is.Token, is.At = phase, token, noon
				return is, phase != ""
			}))
	}
	first := move(s, anna, "s1", "offered", "t1")
	same(t, "board", get[store.OfferBoard](t)(s.OfferBoardByToken(ctx, "t1")), first)
	move(s, anna, "s1", "fell back", "t1")
	move(s, bert, "s1", "promoted", "")
	move(s, bert, "s2", "promoted", "")
	if kept := move(s, bert, "s3", "", ""); kept.Serial != "s3" || kept.Phase != "" {
		t.Errorf("what was not kept: %+v", kept)
	}
	_, err := s.OfferBoard(ctx, id, bert.ID, "s3")
	want(t, "what was not kept", err, store.ErrUnknown)
	same(t, "counts", get[map[string]int](t)(s.OfferCounts(ctx, id)), map[string]int{"promoted": 2, "fell back": 1})
	if n := len(get[[]store.OfferBoard](t)(s.OfferBoards(ctx, id, 0))); n != 3 {
		t.Errorf("%d boards, want 3", n)
	}
	if n := len(get[[]store.OfferBoard](t)(s.OfferBoards(ctx, id, bert.ID))); n != 2 {
		t.Errorf("%d boards of his, want 2", n)
	}
	_, err = s.ChangeOfferBoard(ctx, 99, anna.ID, "s1", nil)
	want(t, "an offer that is not there", err, store.ErrUnknown)

	testStopAfter(t, []*store.Store{s, open(t)}, id, anna)
	ok(t, s.RemoveOffer(ctx, id))
	_, err = s.OfferBoardByToken(ctx, "t1")
	want(t, "a board of an offer that is gone", err, store.ErrUnknown)
}

// testStopAfter lets two processes offer to 40 boards at once, of which no more may fall back than the
// offer says: each decides by the counts that it is given.
func testStopAfter(t *testing.T, both []*store.Store, id int64, c store.Customer) {
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			_, err := both[i%2].ChangeOfferBoard(t.Context(), id, c.ID, "board"+streamID(i),
				func(is store.OfferBoard, of store.Offer, counts map[string]int) (store.OfferBoard, bool) {
					is.Phase = "fell back"
					return is, counts["fell back"] < of.StopAfter
				})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	counts := get[map[string]int](t)(both[0].OfferCounts(t.Context(), id))
	if counts["fell back"] != 3 {
		t.Errorf("%d boards fell back, want 3", counts["fell back"])
	}
}
