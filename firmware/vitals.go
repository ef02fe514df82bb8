// How far the stream has come, for whoever judges the board by it. The facts are noted where they
// happen; a goroutine of the caller's asks for a report once a second.

package firmware

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/firmware/rtpsend"
)

// A rung is held while its counter grows at least this often.
const (
	// pictureWindow is longer than the longest exposure (0.5 s) and than a camera that hangs takes
	// to be noticed (2 s): one reset of a camera loses no rung.
	pictureWindow = 5 * time.Second
	packetWindow  = 5 * time.Second
	// reportWindow: plain AVP has a report about every 5 s, and some get lost (RFC 3550 section 6.2).
	reportWindow = 30 * time.Second
)

// vitals are the facts that do not stand in the stages. The zero value is that of a Source that has
// not begun.
type vitals struct {
	camera  atomic.Pointer[string]          // the open one's name; nil or "": none is open
	session atomic.Pointer[gateway.Session] // nil: none yet, or there is no gateway

	mu     sync.Mutex      // guards the next two; only the sender's counters are read under it
	sender *rtpsend.Sender // of the stream that runs; nil: none does
	ended  sent            // by the streams before it

	ladder ladder // belongs to the caller of Health
}

// sent is what left and what came back.
type sent struct{ packets, reports uint64 }

func (s sent) plus(stats rtpsend.Stats) sent {
	return sent{s.packets + stats.Packets, s.reports + stats.Reports + stats.TransportFeedback}
}

// noteCamera notes which camera is open; "": none is.
func (v *vitals) noteCamera(name string) { v.camera.Store(&name) }

// beginStream notes the sender of a stream that begins.
func (v *vitals) beginStream(sender *rtpsend.Sender) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sender = sender
}

// endStream keeps what the sender counted.
func (v *vitals) endStream() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sender != nil {
		v.ended = v.ended.plus(v.sender.Stats())
		v.sender = nil
	}
}

// sum is what all streams sent, and whether one runs.
func (v *vitals) sum() (total sent, streams bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sender == nil {
		return v.ended, false
	}
	return v.ended.plus(v.sender.Stats()), true
}

// Health says how far the stream has come. The time of writing is the caller's to fill in. It is
// for one goroutine, which calls it about once a second, at any time.
func (s *Source) Health() health.Report {
	v, now := &s.vitals, s.now()
	total, streams := v.sum()
	f := facts{pictures: uint64(s.stages.Usable.Load()), sent: total, granted: streams, validated: streams}
	r := health.Report{
		Pictures: f.pictures, Frames: uint64(s.stages.Frames.Load()), Packets: total.packets,
		StalledS: s.stages.StalledFor(now).Seconds(),
	}
	if name := v.camera.Load(); name != nil {
		r.Camera = *name
	}
	f.camera = r.Camera != ""
	if s.Config.Stream.RTP == "" {
		f.gateway = true
		r.Gateway, f.granted, f.validated = describeSession(v.session.Load())
	}
	r.Rung = v.ladder.climb(now, f)
	return r
}

// describeSession says what the gateway has answered, in words and as far as a rung depends on it.
func describeSession(session *gateway.Session) (words string, granted, validated bool) {
	if session == nil {
		return "not asked yet", false, false
	}
	state := session.State()
	validated = state.Phase == gateway.PhaseStreaming
	granted = validated || state.Phase == gateway.PhaseValidating
	if state.Problem != "" {
		return state.Problem, granted, validated
	}
	return string(state.Phase), granted, validated
}

// facts are what a rung is made of at one moment.
type facts struct {
	camera, granted, validated bool
	gateway                    bool // there is one: without it Granted and Validated are no rungs
	pictures                   uint64
	sent                       sent
}

// A ladder remembers when each counter last grew. The zero value has seen none grow.
type ladder struct{ pictures, packets, reports growth }

// climb returns the rung that f reaches at CLOCK_MONOTONIC time now. A rung holds only on those
// below it.
func (l *ladder) climb(now time.Duration, f facts) health.Rung {
	pictures := l.pictures.isRecent(now, f.pictures, pictureWindow)
	packets := l.packets.isRecent(now, f.sent.packets, packetWindow)
	reports := l.reports.isRecent(now, f.sent.reports, reportWindow)
	rung := health.None
	for _, next := range []struct {
		rung    health.Rung
		reached bool
		left    bool // out, since nobody could say so
	}{
		{health.Camera, f.camera && pictures, false},
		{health.Granted, f.granted, !f.gateway},
		{health.Sent, packets, false},
		{health.Validated, f.validated, !f.gateway},
		{health.Reported, reports, false},
	} {
		switch {
		case !next.reached:
			return rung
		case !next.left:
			rung = next.rung
		}
	}
	return rung
}

// A growth is a counter's latest value and when it grew to that.
type growth struct {
	value uint64
	at    time.Duration
}

// isRecent takes the counter's value now, and says whether it grew within the window.
func (g *growth) isRecent(now time.Duration, value uint64, window time.Duration) bool {
	if value != g.value {
		g.value, g.at = value, now
	}
	return value > 0 && now-g.at <= window
}
