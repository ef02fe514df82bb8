package gateway

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestStreamEndsWhenItsLeaseRunsOut(t *testing.T) {
	d := newDesk(t, Config{})
	a := d.newID()
	d.want(startBody("k", a), 0)
	d.advance(3 * time.Minute)
	d.want(about("validate_stream", a), 0)
	d.advance(4 * time.Minute)
	d.tick(t.Context())
	d.want(startBody("k", a), 4091)
	d.advance(time.Second)
	d.tick(t.Context())
	if d.server.count() != 0 || d.lastEnded().Because != leaseRanOut {
		t.Errorf("%d places open, ended because %q", d.server.count(), d.lastEnded().Because)
	}
	d.want(about("validate_stream", a), 4092)
	d.want(startBody("k", a), 0)
}

func TestRevokedKeyEndsItsStreamsAtTheNextValidation(t *testing.T) {
	for name, change := range map[string]func(*store.Customer){
		"disabled": func(c *store.Customer) { c.Enabled = false },
		"ended":    func(c *store.Customer) { c.ValidUntil = time.Unix(1_700_000_000, 0) },
	} {
		d := newDesk(t, Config{})
		id := d.newID()
		d.want(startBody("k", id), 0)
		d.changeKey(change)
		d.want(about("validate_stream", id), 4011)
		if d.server.count() != 0 || len(d.active()) != 0 {
			t.Errorf("%s: %d places and %d streams are left", name, d.server.count(), len(d.active()))
		}
	}
}

// A source that does not ask is not waited for: its place closes within a second.
func TestRunClosesAtOnceWhatMayNotGoOn(t *testing.T) {
	for name, revoke := range map[string]func(d *desk, id string){
		"its key is disabled": func(d *desk, _ string) {
			d.changeKey(func(c *store.Customer) { c.Enabled = false })
		},
		"its source is disabled": func(d *desk, id string) { d.disable(id) },
	} {
		d := newDesk(t, Config{})
		id := d.newID()
		d.want(startBody("k", id), 0)
		d.tick(t.Context())
		if d.server.count() != 1 {
			t.Fatalf("%s: closed before", name)
		}
		revoke(d, id)
		d.tick(t.Context())
		if d.server.count() != 0 || len(d.active()) != 0 {
			t.Errorf("%s: %d places and %d streams are left", name, d.server.count(), len(d.active()))
		}
	}
}

func TestStreamOfADeadServerIsGrantedAnewElsewhere(t *testing.T) {
	for _, how := range []string{"validate", "start", "tick"} {
		d := newDesk(t, Config{})
		d.changeKey(func(c *store.Customer) { c.CamerasMax = 1 })
		b := d.addServer("b")
		id := d.newID()
		d.want(startBody("k", id), 0)
		d.servers.dead["a"] = true
		switch how {
		case "validate":
			d.want(about("validate_stream", id), 4092)
		case "tick":
			d.tick(t.Context())
		}
		d.want(startBody("k", id), 0)
		d.want(about("validate_stream", id), 0)
		if rows := d.active(); len(rows) != 1 || rows[0].Server != "b" || b.count() != 1 {
			t.Errorf("%s: %+v, %d places at b", how, rows, b.count())
		}
		if got := d.lastEnded(); got.Because != "server died" || got.Server != "a" {
			t.Errorf("%s: the old stream of %s ended because %q", how, got.Server, got.Because)
		}
	}
}

// A video server that was started again has none of its streams: their sources start anew, there or
// elsewhere, without a 4091.
func TestStreamThatItsServerForgotIsGrantedAnew(t *testing.T) {
	for _, how := range []string{"validate", "start"} {
		d := newDesk(t, Config{})
		id := d.newID()
		d.want(startBody("k", id), 0)
		d.server.set(func(s *fakeServer) { s.open = map[string]stream.Grant{} })
		if how == "validate" {
			d.want(about("validate_stream", id), 4092)
		}
		d.want(startBody("k", id), 0)
		if d.server.count() != 1 || len(d.active()) != 1 || d.lastEnded().Because != serverForgot {
			t.Errorf("%s: %d places, %d streams, ended because %q", how, d.server.count(), len(d.active()),
				d.lastEnded().Because)
		}
	}
}

func TestServerThatRefusesGivesWayToAnother(t *testing.T) {
	for _, why := range []error{stream.ErrFull, stream.ErrUnreachable, errors.New("token: not valid")} {
		d := newDesk(t, Config{})
		b := d.addServer("b")
		d.server.begin = fmt.Errorf("begin: %w", why)
		id := d.newID()
		d.want(startBody("k", id), 0)
		rows := d.active()
		if len(rows) != 1 || rows[0].Server != "b" || rows[0].Place.RTPPort == 0 || b.count() != 1 {
			t.Errorf("%v: %+v", why, rows)
		}
		d.want(about("validate_stream", id), 0)
	}
}

// What a source cannot, no other server mends; it hears why.
func TestSourceHearsWhyNoServerTakesIt(t *testing.T) {
	for want, why := range map[string]error{
		"rtcp-mux": stream.ErrNeedsMux, "SSRC": stream.ErrAmbiguous, "no place": stream.ErrFull,
	} {
		d := newDesk(t, Config{})
		d.server.begin = fmt.Errorf("begin: %w", why)
		if said := d.want(startBody("k", d.newID()), 5001); !strings.Contains(said["error_txt"].(string), want) {
			t.Errorf("%v: %v, want %q in it", why, said, want)
		}
	}
}

// A stop while the start is on its way leaves nothing open.
func TestStopWhileTheStreamBeginsClosesItsPlace(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	d.server.during = func() { d.want(about("stop_stream", id), 0) }
	d.want(startBody("k", id), 5004)
	if d.server.count() != 0 || len(d.active()) != 0 {
		t.Errorf("%d places and %d streams are left", d.server.count(), len(d.active()))
	}
	// Nor does a second start take the first one's row while that begins.
	d.server.during = func() { d.want(startBody("k", id), 4091) }
	d.want(startBody("k", id), 0)
	if d.server.count() != 1 || len(d.active()) != 1 {
		t.Errorf("%d places and %d streams", d.server.count(), len(d.active()))
	}
}

// A gateway that was killed between the row and the place holds nobody up for long.
func TestStreamThatNeverBeganIsEnded(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	row := store.Stream{ID: "half", Source: wire.TextID(id), Customer: d.key.ID, Server: "a"}
	if err := d.store.BeginStream(t.Context(), row, 0, d.now()); err != nil {
		t.Fatal(err)
	}
	d.want(startBody("k", id), 4091)
	d.advance(beginLimit + time.Second)
	d.tick(t.Context())
	d.want(startBody("k", id), 0)
}

func TestNothingIsLostWhileTheDatabaseIsAway(t *testing.T) {
	d := newDesk(t, Config{KeepAlive: 5 * time.Second})
	id, fresh := d.newID(), d.newID()
	d.want(startBody("k", id), 0)
	d.store.fail(store.ErrUnavailable, "")
	for range 30 {
		d.advance(time.Second)
		d.tick(t.Context())
		d.want(about("validate_stream", id), 5031)
	}
	for _, body := range []string{
		startBody("k", fresh), about("stop_stream", id), `{"action":"new_utilization_id","key":"k"}`,
		fmt.Sprintf(`{"action":"get_data","key":"k","utilization_id":%q}`, id),
		fmt.Sprintf(`{"action":"put_data","key":"k","utilization_id":%q,"data":[]}`, id),
	} {
		d.want(body, 5031)
	}
	if d.server.count() != 1 || d.server.ended != 0 {
		t.Fatalf("the stream that ran was ended: %d open", d.server.count())
	}
	d.store.fail(nil, "")
	d.tick(t.Context()) // the source could not ask for 30 s, which is more than its lease of 20 s
	d.want(about("validate_stream", id), 0)
	d.want(startBody("k", fresh), 0)
	d.advance(time.Minute)
	d.tick(t.Context())
	if d.server.count() != 0 {
		t.Errorf("%d places are open after a minute of silence", d.server.count())
	}
}

// Two gateways, one database: each request to any of them.
func TestAnyGatewayAnswersAnyRequest(t *testing.T) {
	d := newDesk(t, Config{})
	two := &desk{t: t, store: d.store, servers: d.servers, server: d.server, key: d.key}
	two.Gateway = New(Config{Store: d.store, Servers: d.servers, Now: d.now})
	id := d.newID()
	two.want(startBody("k", id), 0)
	d.want(startBody("k", id), 4091)
	d.want(about("validate_stream", id), 0)
	two.want(about("validate_stream", id), 0)
	d.want(about("stop_stream", id), 0)
	two.want(about("stop_stream", id), 4092)

	// Of many starts at once, one is granted; of many ends, one.
	for range 20 {
		var all sync.WaitGroup
		granted := make([]int, 8)
		for i := range granted {
			all.Go(func() {
				w, g := httptest.NewRecorder(), []*Gateway{d.Gateway, two.Gateway}[i%2]
				g.ServeHTTP(w, newPost(startBody("k", id)))
				granted[i] = w.Code
			})
		}
		all.Wait()
		good := 0
		for _, status := range granted {
			switch status {
			case 200:
				good++
			case 409:
			default:
				t.Errorf("status %d", status)
			}
		}
		if good != 1 || d.server.count() != 1 {
			t.Errorf("%d of 8 were granted, %d places are open", good, d.server.count())
		}
		d.want(about("stop_stream", id), 0)
	}
}
