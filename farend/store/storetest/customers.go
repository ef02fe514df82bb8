// Customers and their sources.

package storetest

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func testCustomers(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	full := store.Customer{Name: "Zoë & söhne", KeyHash: store.HashKey("k1"), CamerasMax: 7,
		Analyses:   []string{"faces", "cars"},
		ValidUntil: at(time.Hour), Enabled: true, RecordBytes: 5 << 40, RecordAge: 90 * 24 * time.Hour, Made: noon}
	full.ID = get[int64](t)(s.AddCustomer(ctx, full))
	plain := store.Customer{Name: "plain", KeyHash: store.HashKey("k2"), RecordBytes: -1, RecordAge: -1}
	plain.ID = get[int64](t)(s.AddCustomer(ctx, plain))

	same(t, "customers", get[[]store.Customer](t)(s.Customers(ctx)), []store.Customer{full, plain})
	same(t, "by key", get[store.Customer](t)(s.CustomerByKey(ctx, store.HashKey("k1"))), full)
	same(t, "by name", get[store.Customer](t)(s.CustomerByName(ctx, "plain")), plain)
	_, err := s.CustomerByKey(ctx, "k1")
	want(t, "a key instead of its hash", err, store.ErrUnknown)
	_, err = s.CustomerByID(ctx, 99)
	want(t, "CustomerByID(99)", err, store.ErrUnknown)

	for name, c := range map[string]store.Customer{
		"a name that is taken": {Name: "plain", KeyHash: store.HashKey("k3")},
		"a key that is taken":  {Name: "other", KeyHash: store.HashKey("k2")},
	} {
		_, err := s.AddCustomer(ctx, c)
		want(t, name, err, store.ErrExists)
	}
	for name, c := range map[string]store.Customer{
		"no name": {KeyHash: store.HashKey("k4")}, "a key itself": {Name: "x", KeyHash: "k4"},
		"fewer than no cameras":       {Name: "x", KeyHash: store.HashKey("k4"), CamerasMax: -1},
		"an end that is kept as none": {Name: "x", KeyHash: store.HashKey("k4"), ValidUntil: time.Unix(0, 0)},
		"an end before 1970":          {Name: "x", KeyHash: store.HashKey("k4"), ValidUntil: time.Unix(-1, 0)},
		"two lines":                   {Name: "x\ny", KeyHash: store.HashKey("k4")},
		"an analysis without a name":  {Name: "x", KeyHash: store.HashKey("k4"), Analyses: []string{""}},
		"recordings of a minus year":  {Name: "x", KeyHash: store.HashKey("k4"), RecordAge: -8766 * time.Hour},
	} {
		_, err := s.AddCustomer(ctx, c)
		want(t, name, err, store.ErrCustomer)
	}
	change := func(c store.Customer) error {
		_, err := s.ChangeCustomer(ctx, c.ID, func(is *store.Customer) error {
			*is = c
			return nil
		})
		return err
	}

	full.Name, full.KeyHash, full.Enabled, full.ValidUntil = "Zoë", store.HashKey("new"), false, time.Time{}
	full.CamerasMax, full.Analyses, full.RecordAge = 0, nil, 0
	ok(t, change(full))
	same(t, "changed", get[store.Customer](t)(open(t).CustomerByKey(ctx, store.HashKey("new"))), full)
	full.Name = "plain"
	want(t, "a name that is taken", change(full), store.ErrExists)
	full.ID = 99
	full.Name, full.KeyHash = "nobody", store.HashKey("nobody")
	want(t, "ChangeCustomer(99)", change(full), store.ErrUnknown)
}

func testRemoveCustomer(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna, bert := customer(t, s, "anna"), customer(t, s, "bert")
	hers, his := source(t, s, anna, noon), source(t, s, bert, noon)
	begin(t, s, granted("hers", hers), noon)
	begin(t, s, granted("his", his), noon)
	ok(t, s.PutAnalysis(ctx, store.Analysis{Source: hers.ID, Data: []byte(`[]`)}))
	want(t, "removal with a stream", s.RemoveCustomer(ctx, anna.ID), store.ErrActive)
	ok(t, s.EndStream(ctx, "hers", "gone", at(time.Second)))
	ok(t, s.RemoveCustomer(ctx, anna.ID))
	want(t, "second removal", s.RemoveCustomer(ctx, anna.ID), store.ErrUnknown)
	_, err := s.SourceByID(ctx, hers.ID)
	want(t, "her source", err, store.ErrUnknown)
	_, err = s.StreamByID(ctx, "hers")
	want(t, "her stream", err, store.ErrUnknown)
	_, err = s.Analysis(ctx, hers.ID)
	want(t, "her analysis", err, store.ErrUnknown)
	get[store.Stream](t)(s.ActiveStream(ctx, his.ID))

	ok(t, s.EndStream(ctx, "his", "gone", at(time.Second)))
	ok(t, s.RemoveCustomer(ctx, bert.ID))
	// An ID is never given a second time: recordings of another customer may still bear it.
	if next := customer(t, s, "carl"); next.ID <= bert.ID {
		t.Errorf("the next customer's ID is %d, after %d", next.ID, bert.ID)
	}
}

func testSources(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna, bert := customer(t, s, "anna"), customer(t, s, "bert")
	first, second := source(t, s, anna, noon), source(t, s, anna, noon)
	other := source(t, s, bert, noon)
	if first.ID == second.ID || len(first.ID.String()) < 20 {
		t.Errorf("ids %v and %v: they must differ, and be hard to guess", first.ID, second.ID)
	}
	_, err := s.AddSource(ctx, 99, roomy, noon)
	want(t, "a source of nobody", err, store.ErrUnknown)
	_, err = s.SourceByID(ctx, wire.TextID("unheard of"))
	want(t, "an id of nobody", err, store.ErrUnknown)
	_, err = s.SourceByID(ctx, wire.ID{})
	want(t, "no id", err, store.ErrUnknown)

	warm, low := 48.5, true
	board := wire.Board{Serial: "10000000abcdef01", Model: "Raspberry Pi 4 Model B", Board: "rpi",
		Version: "v2", Index: 170,
		Slot: "b", Trial: true, Camera: "HD Webcam", UptimeS: 3600, TemperatureC: &warm, Undervoltage: &low}
	ok(t, s.SetBoard(ctx, first.ID, board, at(time.Minute)))
	ok(t, s.NoteUse(ctx, first.ID, at(time.Second)))
	first.Name, first.Enabled = "front door", false
	ok(t, rename(t, s, first))
	first.Board, first.BoardAt, first.Used = board, at(time.Minute), at(time.Second)
	same(t, "source", get[store.Source](t)(open(t).SourceByID(ctx, first.ID)), first)
	for what, err := range map[string]error{
		"SetBoard": s.SetBoard(ctx, wire.TextID("x"), board, noon), "NoteUse": s.NoteUse(ctx, wire.TextID("x"), noon),
		"ChangeSource": rename(t, s, store.Source{ID: wire.TextID("x")}),
	} {
		want(t, what+" of nobody", err, store.ErrUnknown)
	}

	hers := get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{Customer: anna.ID}))
	if len(hers) != 2 {
		t.Fatalf("%d sources of hers, want 2", len(hers))
	}
	rest := get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{Customer: anna.ID, After: hers[0].ID, Limit: 5}))
	same(t, "the rest", rest, hers[1:])
	if n := len(get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{Limit: 2}))); n != 2 {
		t.Errorf("%d sources with a limit of 2", n)
	}
	off := get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{Disabled: true}))
	same(t, "disabled", off, []store.Source{first})
	same(t, "his", get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{Customer: bert.ID})), []store.Source{other})
}

func testEviction(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna, bert := customer(t, s, "anna"), customer(t, s, "bert")
	his := source(t, s, bert, noon)
	three := store.SourceLimits{Max: 3, UnusedKeep: time.Minute, UsedKeep: 24 * time.Hour}
	add := func(now time.Time) store.Source { return get[store.Source](t)(s.AddSource(ctx, anna.ID, three, now)) }
	streaming, used, unused := add(noon), add(at(time.Second)), add(at(2*time.Second))
	begin(t, s, granted("a", streaming), noon)
	ok(t, s.NoteUse(ctx, used.ID, noon))

	_, err := s.AddSource(ctx, anna.ID, three, at(30*time.Second))
	want(t, "one too many within the minute", err, store.ErrFull)
	fourth := add(at(2 * time.Minute))
	_, err = s.SourceByID(ctx, unused.ID)
	want(t, "the one that was never used", err, store.ErrUnknown)
	ok(t, s.NoteUse(ctx, fourth.ID, at(2*time.Minute)))
	_, err = s.AddSource(ctx, anna.ID, three, at(23*time.Hour))
	want(t, "one too many within the day", err, store.ErrFull)

	used.Name = "front door"
	ok(t, rename(t, s, used))
	fifth := add(at(25 * time.Hour))
	_, err = s.SourceByID(ctx, fourth.ID)
	want(t, "the one without a name, though used later", err, store.ErrUnknown)
	ok(t, s.NoteUse(ctx, fifth.ID, at(25*time.Hour)))
	add(at(26 * time.Hour))
	_, err = s.SourceByID(ctx, used.ID)
	want(t, "the one with a name, since nothing else was left", err, store.ErrUnknown)
	get[store.Source](t)(s.SourceByID(ctx, streaming.ID))

	// The end of a stream is a use: its source keeps its place for another day.
	ok(t, s.EndStream(ctx, "a", "over", at(30*time.Hour)))
	add(at(40 * time.Hour)) // in place of the one that was never used
	get[store.Source](t)(s.SourceByID(ctx, streaming.ID))
	get[store.Source](t)(s.SourceByID(ctx, his.ID))
}

func testOddTexts(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	id := get[int64](t)(s.AddCustomer(ctx, store.Customer{Name: "zero \x00 and \xff", KeyHash: store.HashKey("k")}))
	c := get[store.Customer](t)(s.CustomerByID(ctx, id))
	if c.Name != "zero  and \uFFFD" {
		t.Errorf("customer %q", c.Name)
	}
	one := source(t, s, c, noon)
	one.Name = "'; DROP TABLE sources; --\x00"
	ok(t, rename(t, s, one))
	got := get[store.Source](t)(s.SourceByID(ctx, one.ID))
	same(t, "name", got.Name, strings.TrimSuffix(one.Name, "\x00"))
	var broken, number wire.ID
	ok(t, broken.UnmarshalJSON([]byte("\"a\xff\"")))
	ok(t, number.UnmarshalJSON([]byte("5")))
	for _, id := range []wire.ID{broken, number, wire.TextID("5"), wire.TextID("\x00")} {
		_, err := s.SourceByID(ctx, id)
		want(t, "SourceByID of "+id.String(), err, store.ErrUnknown)
	}
	ok(t, s.AddEvent(ctx, store.Event{At: noon, Source: broken, Words: strings.Repeat("ä\x00", 5000)}))
	events := get[[]store.Event](t)(s.Events(ctx, store.EventFilter{}, 1))
	if len(events) != 1 || len(events[0].Words) > 1010 || strings.Contains(events[0].Words, "\x00") {
		t.Errorf("%d events: %+v", len(events), events)
	}
	_, err := s.StreamByID(ctx, "\xff\x00")
	want(t, "StreamByID of no text", err, store.ErrUnknown)
}

func testImport(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	dir := t.TempDir()
	path := filepath.Join(dir, "utilization_ids.json")
	if n, err := s.ImportIDs(ctx, path); n != 0 || err != nil {
		t.Errorf("without a file: %d, %v", n, err)
	}
	lines := `{"id":"first","key_sha256":"` + anna.KeyHash + `","made":1700000000}
{"id":5,"key_sha256":"` + anna.KeyHash + `","made":-7,"used":1800000000}
{"id":"of another key","key_sha256":"` + store.HashKey("lost") + `","made":1700000000}
{"id":"first","key_sha256":"` + anna.KeyHash + `","made":1700000000,"used":1700000009}
{"id":"torn","key_sh`
	ok(t, atomicfile.Replace(path, 0o600, atomicfile.Bytes([]byte(lines))))
	if n, err := s.ImportIDs(ctx, path); n != 2 || err != nil {
		t.Fatalf("ImportIDs = %d, %v, want 2", n, err)
	}
	var five wire.ID
	ok(t, five.UnmarshalJSON([]byte("5")))
	same(t, "a number", get[store.Source](t)(s.SourceByID(ctx, five)), store.Source{ID: five, Customer: anna.ID,
		Enabled: true, Used: time.Unix(1800000000, 0).UTC()})
	same(t, "a text", get[store.Source](t)(s.SourceByID(ctx, wire.TextID("first"))), store.Source{
		ID:       wire.TextID("first"),
		Customer: anna.ID, Enabled: true, Made: time.Unix(1700000000, 0).UTC(), Used: time.Unix(1700000009, 0).UTC()})
	_, err := s.SourceByID(ctx, wire.TextID("5"))
	want(t, "the number as a text", err, store.ErrUnknown)

	// Once: what stands there later is not taken.
	lines = `{"id":"later","key_sha256":"` + anna.KeyHash + `"}` + "\n"
	ok(t, atomicfile.Replace(path, 0o600, atomicfile.Bytes([]byte(lines))))
	if n, err := s.ImportIDs(ctx, path); n != 0 || err != nil {
		t.Errorf("second time: %d, %v, want 0", n, err)
	}
	_, err = s.SourceByID(ctx, wire.TextID("later"))
	want(t, "an id that came later", err, store.ErrUnknown)
	ok(t, atomicfile.Replace(path, 0o600, atomicfile.Bytes([]byte("{broken}\n{}\n"))))
	if _, err := open(t).ImportIDs(ctx, path); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken file: %v, want its line", err)
	}
}

// rename gives a source the Name and Enabled of c.
func rename(t testing.TB, s *store.Store, c store.Source) error {
	_, err := s.ChangeSource(t.Context(), c.ID, func(is *store.Source) error {
		is.Name, is.Enabled = c.Name, c.Enabled
		return nil
	})
	return err
}
