package firmware

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/health"
)

func TestRungIsTheHighestThatRestsOnAllBelowIt(t *testing.T) {
	all := facts{camera: true, granted: true, validated: true, gateway: true, pictures: 1, sent: sent{1, 1}}
	with := func(change func(*facts)) facts {
		f := all
		change(&f)
		return f
	}
	for _, c := range []struct {
		name string
		f    facts
		want health.Rung
	}{
		{"nothing", facts{gateway: true}, health.None},
		{"a camera that gave no picture", with(func(f *facts) { f.pictures = 0 }), health.None},
		{"pictures of a camera that is gone", with(func(f *facts) { f.camera = false }), health.None},
		{"a camera alone", facts{camera: true, pictures: 1, gateway: true}, health.Camera},
		{"a grant", with(func(f *facts) { f.validated, f.sent = false, sent{} }), health.Granted},
		{"packets", with(func(f *facts) { f.validated = false; f.sent.reports = 0 }), health.Sent},
		{"reports, and the gateway says no", with(func(f *facts) { f.validated = false }), health.Sent},
		{"the gateway says yes", with(func(f *facts) { f.sent.reports = 0 }), health.Validated},
		{"all", all, health.Reported},
		{"without a gateway, nothing sent", facts{camera: true, pictures: 1}, health.Camera},
		{"without a gateway, begun and nothing sent",
			facts{camera: true, pictures: 1, granted: true, validated: true}, health.Camera},
		{"without a gateway, packets",
			facts{camera: true, pictures: 1, granted: true, validated: true, sent: sent{1, 0}}, health.Sent},
		{"without a gateway, reports",
			facts{camera: true, pictures: 1, granted: true, validated: true, sent: sent{1, 1}}, health.Reported},
	} {
		var l ladder
		if got := l.climb(time.Hour, c.f); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRungIsLostWhenItsCounterStandsStill(t *testing.T) {
	var l ladder
	f := facts{camera: true, granted: true, validated: true, gateway: true, pictures: 1, sent: sent{1, 1}}
	at := func(now time.Duration, want health.Rung) {
		t.Helper()
		if got := l.climb(now, f); got != want {
			t.Errorf("after %v: %s, want %s", now, got, want)
		}
	}
	start := time.Hour
	at(start, health.Reported)
	for now := start; now <= start+reportWindow; now += time.Second {
		f.pictures, f.sent.packets = f.pictures+30, f.sent.packets+90
		at(now, health.Reported)
	}
	at(start+reportWindow+time.Second, health.Validated) // no report since
	end := start + reportWindow + time.Second
	f.pictures += 30
	at(end+packetWindow, health.Granted) // no packet since
	at(end+packetWindow+pictureWindow+time.Second, health.None)
	f.pictures, f.sent = f.pictures+1, sent{f.sent.packets + 1, f.sent.reports + 1}
	at(end+time.Minute, health.Reported)
}

// A gateway's camera, whose source is asked from the outside as camsource does.
func TestHealthFollowsAStreamToItsEnd(t *testing.T) {
	d := newDesk(t)
	s := d.source(t)
	if r := s.Health(); r.Rung != health.None || r.Camera != "" {
		t.Errorf("before it runs: %+v", r)
	}
	stop := start(t, s)
	var r health.Report
	eventually(t, "the gateway captures the stream and the receiver reports", 30*time.Second, func() bool {
		r = s.Health()
		return r.Rung == health.Reported
	})
	if r.Camera == "" || r.Pictures == 0 || r.Frames == 0 || r.Packets < r.Frames || r.StalledS > 20 ||
		r.Gateway != string(gateway.PhaseStreaming) {
		t.Errorf("while it streams: %+v", r)
	}
	stop()
	after := s.Health()
	if after.Packets < r.Packets || after.Frames < r.Frames {
		t.Errorf("after its end %+v, before %+v: counters went back", after, r)
	}
	if after.Rung.Reaches(health.Granted) {
		t.Errorf("after its end: rung %s, want none that needs a grant", after.Rung)
	}
}

func TestHealthSaysWhyTheGatewayRefuses(t *testing.T) {
	d := newDesk(t)
	d.refuse.Store(true)
	s := d.source(t)
	stop := start(t, s)
	defer stop()
	eventually(t, "the camera gives pictures and the gateway refuses", 30*time.Second, func() bool {
		r := s.Health()
		return r.Rung == health.Camera && r.Gateway != "" && r.Gateway != string(gateway.PhaseAsking) &&
			r.Gateway != "not asked yet"
	})
}

func TestHealthOfABoardWithoutAGatewayNeedsNone(t *testing.T) {
	d := newDesk(t)
	s := d.source(t)
	s.Config.Gateway = config.Gateway{}
	s.Config.Stream.RTP = "127.0.0.1:9"
	s.Config.Stream.RTCP = "127.0.0.1:10"
	stop := start(t, s)
	defer stop()
	eventually(t, "packets leave", 30*time.Second, func() bool {
		r := s.Health()
		return r.Rung == health.Sent && r.Gateway == ""
	})
}
