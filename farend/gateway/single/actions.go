// The four actions of the gateway, and the lease from its side.

package single

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// leasePeriods is the source's own limit (three periods without a good answer) and one
	// period for the last request on its way.
	leasePeriods = 4
)

// State is what a status line shows.
type State struct {
	Active      bool
	Utilization wire.ID
	Since       time.Time
}

// State ends a stream whose lease ran out, does what else is late, and says which stream is
// granted. Call it about once a second.
func (g *Gateway) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endExpiredLease()
	now := g.config.Now()
	if err := g.ids.syncLate(now); err != nil {
		g.noteFault("gateway: utilization ids", err)
	}
	g.quiet.flush(now)
	if g.active == nil {
		return State{}
	}
	return State{Active: true, Utilization: g.active.id, Since: g.active.since}
}

func (g *Gateway) handleAction(r request, host string) (wire.Answer, *wire.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endExpiredLease()
	switch r.action {
	case wire.ActionNewUtilizationID:
		return g.newUtilizationID(r)
	case wire.ActionStartStream:
		return g.startStream(r, host)
	case wire.ActionValidateStream:
		return g.validateStream(r)
	case wire.ActionStopStream:
		return g.stopStream(r)
	}
	return wire.Answer{}, refuse(wire.CodeUnknownAction, "unknown action")
}

// endExpiredLease frees the server from a source that went away without a word.
func (g *Gateway) endExpiredLease() {
	period := g.config.KeepAlive
	if period == 0 {
		period = wire.DefaultKeepAlive
	}
	if g.active != nil && g.config.Now().Sub(g.active.lastSeen) > leasePeriods*period {
		g.config.Log.Info("gateway: the lease ran out", "utilization_id", g.active.id.String())
		g.endStream()
	}
}

// noteFault logs an error of ours that every request may meet.
func (g *Gateway) noteFault(message string, err error) {
	g.quiet.say(slog.LevelError, saying{message: message}, g.config.Now(), "error", err)
}

// eventsOften is more than a source that starts over has reason for in half a minute.
const eventsOften = 10

// noteEvent logs what a source may cause as often as it likes.
func (g *Gateway) noteEvent(message string, r request, id wire.ID, args ...any) {
	same := saying{message: message, from: networkOf(r.from), often: eventsOften}
	g.quiet.say(slog.LevelInfo, same, g.config.Now(),
		append([]any{"utilization_id", id.String()}, args...)...)
}

func (g *Gateway) endStream() {
	g.active = nil
	g.config.Server.End()
}

func (g *Gateway) checkKey(r request) *wire.Refusal {
	switch {
	case r.key == "":
		return refuse(wire.CodeNoKey, "no key argument")
	case g.config.Key == "":
		return refuse(wire.CodeKeyUnset, "API key not configured")
	case !g.isOurKey(r.key):
		return refuse(wire.CodeKeyInvalid, "API key not valid")
	}
	return nil
}

func (g *Gateway) checkID(r request) *wire.Refusal {
	if r.utilization.IsZero() {
		return refuse(wire.CodeNoUtilization, "no utilization_id argument")
	}
	if _, known := g.ids.keyHashOf(r.utilization); !known {
		return refuse(wire.CodeUtilizationInvalid, "utilization identifier not valid")
	}
	return nil
}

func (g *Gateway) newUtilizationID(r request) (wire.Answer, *wire.Refusal) {
	if why := g.checkKey(r); why != nil {
		return wire.Answer{}, why
	}
	now := g.config.Now()
	if !g.newIDs.take(r.from, now) {
		return wire.Answer{}, refuse(codeTooManyIDs, "too many new utilization identifiers: try again later")
	}
	var running wire.ID
	if g.active != nil {
		running = g.active.id
	}
	id, err := g.ids.createID(g.keyHash, running, now)
	switch {
	case errors.Is(err, errIDsFull):
		return wire.Answer{}, refuse(codeTooManyIDs, "all places for utilization identifiers are in use")
	case err != nil:
		g.noteFault("gateway: utilization ids", err)
		return wire.Answer{}, refuse(wire.CodeStatusFailed, "cannot save the utilization identifier")
	}
	g.noteEvent("gateway: new utilization_id", r, id)
	return wire.Answer{Utilization: id}, nil
}

// noteUse keeps the place of an id that a source uses. If that cannot be written down, it holds
// until a restart.
func (g *Gateway) noteUse(id wire.ID) {
	if err := g.ids.noteUse(id, g.config.Now()); err != nil {
		g.noteFault("gateway: utilization ids", err)
	}
}

// checkStart says why a stream may not start.
func (g *Gateway) checkStart(r request) *wire.Refusal {
	if why := g.checkKey(r); why != nil {
		return why
	}
	if why := g.checkID(r); why != nil {
		return why
	}
	if key, _ := g.ids.keyHashOf(r.utilization); key != g.keyHash {
		return refuse(wire.CodeKeyMismatch, "utilization identifier and API key not compatible")
	}
	g.noteUse(r.utilization)
	if r.width == 0 || r.height == 0 {
		return refuse(wire.CodeNoDescriptor, "missing video stream descriptor: width, height")
	}
	if g.active != nil {
		return refuse(wire.CodeAlreadyActive, "stream already active")
	}
	return nil
}

func (g *Gateway) startStream(r request, host string) (wire.Answer, *wire.Refusal) {
	if why := g.checkStart(r); why != nil {
		return wire.Answer{}, why
	}
	keys, why := g.makeKeys(r)
	if why != nil {
		return wire.Answer{}, why
	}
	switch err := g.config.Server.Begin(keys, r.ssrc, r.from); {
	case errors.Is(err, net.ErrClosed):
		return wire.Answer{}, refuse(wire.CodeServerUnreachable, "video server cannot be reached")
	case err != nil:
		g.noteFault("gateway: begin", err)
		return wire.Answer{}, refuse(wire.CodeNoListener, "cannot initialise the stream listener")
	}
	now := g.config.Now()
	g.active = &grant{id: r.utilization, since: now, lastSeen: now}
	g.noteEvent("gateway: granted", r, r.utilization, "width", r.width, "height", r.height)
	if g.config.Host != "" {
		host = g.config.Host
	}
	rtp, rtcp := g.config.Server.Ports()
	answer := wire.Answer{URL: host, RTPPort: wire.NewInt(rtp), RTCPPort: wire.NewInt(rtcp)}
	if id := g.config.Server.TransportID(); id != 0 {
		answer.Transport.Int = wire.NewInt(int(id))
	}
	if g.config.KeepAlive != 0 {
		answer.KeepAlive.Int = wire.NewInt(int(g.config.KeepAlive / time.Second))
	}
	answer.SetSRTP(keys)
	return answer, nil
}

func (g *Gateway) validateStream(r request) (wire.Answer, *wire.Refusal) {
	if why := g.checkRunning(r); why != nil {
		return wire.Answer{}, why
	}
	g.active.lastSeen = g.config.Now()
	g.noteUse(r.utilization)
	code, words, err := g.config.Server.Captured(r.from)
	switch {
	case errors.Is(err, net.ErrClosed):
		return wire.Answer{}, refuse(wire.CodeServerUnreachable, "video server cannot be reached")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wire.Answer{}, refuse(wire.CodeNotReceived, "stream not received before timeout")
	case err != nil:
		g.noteFault("gateway: capture", err)
		return wire.Answer{}, refuse(wire.CodeNotCaptured, "cannot capture the stream")
	}
	return wire.Answer{Validation: wire.NewInt(code), Explanation: wire.Text(words)}, nil
}

func (g *Gateway) stopStream(r request) (wire.Answer, *wire.Refusal) {
	if why := g.checkRunning(r); why != nil {
		return wire.Answer{}, why
	}
	g.noteEvent("gateway: stopped", r, r.utilization)
	g.endStream()
	return wire.Answer{OK: "stream stopped successfully"}, nil
}

func (g *Gateway) checkRunning(r request) *wire.Refusal {
	if why := g.checkID(r); why != nil {
		return why
	}
	if g.active == nil || g.active.id != r.utilization {
		return refuse(wire.CodeNotRunning, "stream not running")
	}
	return nil
}
