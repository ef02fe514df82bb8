// What a gateway makes of a store that was away, of a clock that was set, and of a server that hangs.

package gateway

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// runAt has the store take a stream that runs at a server.
func (d *desk) runAt(server string, lease time.Duration) {
	d.t.Helper()
	row := store.Stream{ID: "at" + server, Source: wire.TextID(d.newID()), Customer: d.key.ID, Server: server,
		Lease: lease}
	if err := d.store.BeginStream(d.t.Context(), row, 0, d.now()); err != nil {
		d.t.Fatal(err)
	}
	if err := d.store.SetPlace(d.t.Context(), row.ID, newFakeServer().place); err != nil {
		d.t.Fatal(err)
	}
}

// seconds lets time pass with a tick each second; each, if any, comes before.
func (d *desk) seconds(n int, each func()) {
	for range n {
		d.advance(time.Second)
		if each != nil {
			each()
		}
		d.tick(d.t.Context())
	}
}

// The gateway sees that the store is back before another video server can write its next heartbeat.
func TestStreamsOnOtherServersOutliveAnOutageOfTheDatabase(t *testing.T) {
	for _, away := range []int{5, 12, 300} {
		d := newDesk(t, Config{})
		cluster := videoserver.NewCluster(videoserver.ClusterConfig{Store: d.store, Now: d.now})
		t.Cleanup(cluster.Close)
		d.Gateway = New(Config{Store: d.store, Servers: cluster, Now: d.now})
		beat := func() {
			b := store.Server{Name: "b", Host: "b.example", Control: "http://127.0.0.1:1", Capacity: 5, SeenAt: d.now()}
			if err := d.store.Heartbeat(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		d.runAt("b", time.Hour)
		d.seconds(10, beat)
		d.seconds(2, nil) // the next one would be due
		d.store.fail(store.ErrUnavailable, "")
		d.seconds(away, nil)
		d.store.fail(nil, "")
		d.seconds(3, nil)
		d.seconds(20, beat)
		if rows := d.active(); len(rows) != 1 {
			t.Errorf("after %d s without a database, streams: %+v, ended because %q", away, rows, d.lastEnded().Because)
		}
		d.seconds(11, nil)
		if len(d.active()) != 0 || d.lastEnded().Because != serverDied {
			t.Errorf("without heartbeats, long after the outage: %+v, %q", d.active(), d.lastEnded().Because)
		}
	}
}

// Whatever the clock is set to, sources have their leases: nobody was silent for a time that never passed.
func TestClockThatIsSetEndsNoStream(t *testing.T) {
	for _, step := range []time.Duration{24 * time.Hour, -24 * time.Hour, 5 * time.Minute} {
		var uptime time.Duration
		d := newDesk(t, Config{Uptime: func() time.Duration { return uptime }})
		pass := func(n int) {
			for range n {
				uptime += time.Second
				d.seconds(1, nil)
			}
		}
		pass(300)
		id := d.newID()
		d.want(startBody("k", id), 0)
		pass(30)
		d.advance(step)
		pass(30)
		d.want(about("validate_stream", id), 0)
		fresh := d.newID()
		d.want(startBody("k", fresh), 0)
		pass(2)
		d.want(about("validate_stream", fresh), 0)
		pass(238)
		d.want(about("validate_stream", id), 0)
		if len(d.active()) != 2 {
			t.Errorf("set by %v: %d streams, want 2", step, len(d.active()))
		}
		pass(241)
		if len(d.active()) != 0 {
			t.Errorf("set by %v: %d streams of silent sources are left", step, len(d.active()))
		}
	}
}

// The lease is the grant's: a gateway with shorter periods keeps it.
func TestGatewaysWithOtherPeriodsKeepTheLeasesOfEachOther(t *testing.T) {
	d := newDesk(t, Config{KeepAlive: time.Minute})
	quick := New(Config{Store: d.store, Servers: d.servers, Now: d.now, KeepAlive: 5 * time.Second})
	id := d.newID()
	d.want(startBody("k", id), 0)
	d.advance(4 * time.Minute)
	quick.tick(t.Context())
	d.want(about("validate_stream", id), 0)
	d.advance(4*time.Minute + time.Second)
	quick.tick(t.Context())
	d.want(about("validate_stream", id), 4092)
}

// A gateway that has just begun does not know whether sources could ask.
func TestGatewayThatStartsWaitsAWholeLease(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	d.want(startBody("k", id), 0)
	d.advance(time.Hour)
	again := New(Config{Store: d.store, Servers: d.servers, Now: d.now})
	again.tick(t.Context())
	d.want(about("validate_stream", id), 0)
}

func TestServerThatHangsHoldsUpNoOther(t *testing.T) {
	d := newDesk(t, Config{})
	b := d.addServer("b")
	b.hangs = true
	own := d.newID()
	d.want(startBody("k", own), 0)
	d.servers.names = []string{"b"}
	var hung []string
	for range 5 {
		hung = append(hung, d.newID())
		d.want(startBody("k", hung[len(hung)-1]), 0)
	}
	d.changeKey(func(c *store.Customer) { c.Enabled = false })
	ticked := make(chan struct{})
	go func() { d.tick(t.Context()); close(ticked) }()
	eventually(t, "the place at the other server is closed", func() bool { return d.server.count() == 0 })
	if len(d.active()) != 0 {
		t.Errorf("%d streams are left in the books", len(d.active()))
	}
	select {
	case <-ticked:
		t.Error("the server did not hang")
	default:
	}
	<-ticked // within closeLimit, not once more for each stream
	b.set(func(s *fakeServer) { s.hangs = false })
	if b.count() != len(hung) {
		t.Errorf("%d places at the server that hung, want %d", b.count(), len(hung))
	}
}
