// A database that an earlier version left.

package storetest

import (
	"database/sql"
	_ "embed"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

//go:embed schema1.sql
var firstSchema string

// RunFirstSchema makes the first version's database in db, which is empty, and has open bring it up to
// date: all that was kept is there, and what came later works.
func RunFirstSchema(t *testing.T, db *sql.DB, serial string, open Opener) {
	for one := range strings.SplitSeq(strings.ReplaceAll(firstSchema, "{serial}", serial), ";\n") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), one); err != nil {
			t.Fatalf("%s: %v", one, err)
		}
	}
	s, ctx := open(t), t.Context()
	old := store.Customer{ID: 1, Name: "old", KeyHash: store.HashKey("key"), CamerasMax: 3, Analyses: []string{"faces"},
		ValidUntil: noon, Enabled: true, RecordBytes: 1000, RecordAge: time.Hour, Made: noon}
	same(t, "customer", get[store.Customer](t)(s.CustomerByKey(ctx, store.HashKey("key"))), old)
	warm := 48.5
	text := store.Source{ID: wire.TextID("text"), Customer: 1, Name: "front door", Enabled: true, Made: noon,
		Used: at(time.Second), BoardAt: at(2 * time.Second),
		Board: wire.Board{Serial: "10000000abcdef01", Board: "rpi", TemperatureC: &warm}}
	five := store.Source{Customer: 1, Made: noon}
	ok(t, five.ID.UnmarshalJSON([]byte("5")))
	same(t, "sources", get[[]store.Source](t)(s.Sources(ctx, store.SourceFilter{})), []store.Source{text, five})
	rtt := 12 * time.Millisecond
	same(t, "stream", get[store.Stream](t)(s.ActiveStream(ctx, text.ID)), store.Stream{ID: "s1", Source: text.ID,
		Customer: 1, Server: "one", SSRC: 4_000_000_000, Asker: netip.MustParseAddr("2001:db8::5"), Encrypted: true,
		Place: stream.Place{Host: "video.example", RTPPort: 5004, RTCPPort: 5005, RTX: true, Transport: 3,
			CaptureTime: 5},
		Width: 640, Height: 480, Since: noon, LastSeen: at(time.Second), Lease: 40 * time.Minute,
		Stats: stream.Stats{State: stream.StateStreaming, Packets: 7, RTT: &rtt}, StatsAt: at(2 * time.Second)})
	if n := len(get[[]store.Server](t)(s.Servers(ctx, noon))); n != 1 {
		t.Errorf("%d servers, want 1", n)
	}
	if n := len(get[[]store.Event](t)(s.Events(ctx, store.EventFilter{Source: text.ID}, 0))); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	same(t, "analysis", string(get[store.Analysis](t)(s.Analysis(ctx, text.ID)).Data), "[1]")
	same(t, "setting", get[string](t)(s.Setting(ctx, "colour")), "green")
	testOfferBoards(t, open) // the second step
}
