package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestUpdateIsOfferedToSourcesThatTheGatewayKnows(t *testing.T) {
	var asked []wire.Board
	d := newDesk(t, Config{Offer: func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update {
		// A source waits 10 s: what is left of them after the longest answer is all that an offer gets.
		if end, limited := ctx.Deadline(); !limited || time.Until(end) > offerTimeout {
			t.Errorf("an offer may last until %v", end)
		}
		if keyHash != store.HashKey("k") || host != "desk.example:8080" {
			t.Errorf("asked for %q at %q", keyHash, host)
		}
		asked = append(asked, b)
		return &wire.Update{URL: "https://" + host + "/f", Version: "v2"}
	}})
	d.changeKey(func(c *store.Customer) { c.CamerasMax = 1 })
	first, second := d.newID(), d.newID()
	offered := func(answer map[string]any) bool { _, is := answer["update"]; return is }
	start := func(key, id string) string {
		return `{"action":"start_stream","key":"` + key + `","utilization_id":"` + id +
			`","width":640,"height":480,"board":{"serial":"s1","version":"v1"}}`
	}
	about := func(action, id string) string {
		return `{"action":"` + action + `","utilization_id":"` + id + `","board":{"serial":"s1"}}`
	}
	for _, c := range []struct {
		name, body string
		code       int
		want       bool
	}{
		{"a grant", start("k", first), 0, true},
		{"one that waits for its turn", start("k", second), 4091, true},
		{"a validation", about("validate_stream", first), 0, true},
		{"a validation of a stream that does not run", about("validate_stream", second), 4092, true},
		{"a wrong key", start("x", first), 4011, false},
		{"no key", start("", first), 4002, false},
		{"an id that nobody has", start("k", "x"), 4012, false},
		{"a validation with an id that nobody has", about("validate_stream", "x"), 4012, false},
		{"another action", about("get_data", first), 4002, false},
		{"the end", about("stop_stream", first), 0, false},
		{"a new id", `{"action":"new_utilization_id","key":"k","board":{"serial":"s1"}}`, 0, false},
	} {
		if got := offered(d.want(c.body, c.code)); got != c.want {
			t.Errorf("%s: offered %v, want %v", c.name, got, c.want)
		}
	}
	if len(asked) != 4 || asked[0].Serial != "s1" || asked[0].Version != "v1" {
		t.Errorf("asked for %+v", asked)
	}
}

func TestGatewayWithoutAnUpdateOffersNone(t *testing.T) {
	d := newDesk(t, Config{Offer: func(context.Context, string, wire.Board, string) *wire.Update { return nil }})
	if _, is := d.want(startBody("k", d.newID()), 0)["update"]; is {
		t.Error("an update was offered")
	}
}
