// The four actions of the gateway, and the lease from its side.

package farend

import (
	"errors"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// leasePeriods is the source's own limit (three periods without a good answer)
	// and one period for the last request on its way.
	leasePeriods = 4
	// receiveTimeout is when "not yet" becomes "not received before timeout".
	receiveTimeout = 10 * time.Second
)

// Validation codes: 0 is the protocol's, the rest are ours to choose.
const (
	validationCaptured = 0
	validationNothing  = 1
	validationNoFrame  = 2
)

// GatewayState is what a status line shows.
type GatewayState struct {
	Active      bool
	Utilization wire.ID
	Since       time.Time
}

// State ends a stream whose lease ran out, and tells which one is granted.
func (g *Gateway) State() GatewayState {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire()
	if g.active == nil {
		return GatewayState{}
	}
	return GatewayState{Active: true, Utilization: g.active.id, Since: g.active.since}
}

func (g *Gateway) act(r request, host string) (any, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire()
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
	return nil, no(wire.CodeUnknownAction, "unknown action")
}

// expire frees the server from a source that went away without a word.
func (g *Gateway) expire() {
	period := g.config.KeepAlive
	if period == 0 {
		period = wire.DefaultKeepAlive
	}
	if g.active != nil && g.config.Now().Sub(g.active.lastSeen) > leasePeriods*period {
		g.config.Log.Info("gateway: the lease ran out", "utilization_id", g.active.id.String())
		g.end()
	}
}

func (g *Gateway) end() {
	g.active = nil
	g.config.Server.End()
}

func (g *Gateway) checkKey(r request) *refusal {
	switch {
	case r.key == "":
		return no(wire.CodeNoKey, "no key argument")
	case g.config.Key == "":
		return no(wire.CodeKeyUnset, "API key not configured")
	case !g.rightKey(r.key):
		return no(wire.CodeKeyInvalid, "API key not valid")
	}
	return nil
}

func (g *Gateway) checkID(r request) *refusal {
	if r.utilization.IsZero() {
		return no(wire.CodeNoUtilization, "no utilization_id argument")
	}
	if _, known := g.ids.keyOf(r.utilization); !known {
		return no(wire.CodeUtilizationInvalid, "utilization identifier not valid")
	}
	return nil
}

func (g *Gateway) newUtilizationID(r request) (any, *refusal) {
	if why := g.checkKey(r); why != nil {
		return nil, why
	}
	id, err := g.ids.create(g.key)
	if err != nil {
		g.config.Log.Error("gateway: utilization ids", "err", err)
		return nil, no(wire.CodeStatus, "cannot save the utilization identifier")
	}
	g.config.Log.Info("gateway: new utilization_id", "utilization_id", id.String())
	return map[string]any{"utilization_id": id}, nil
}

func (g *Gateway) startStream(r request, host string) (any, *refusal) {
	if why := g.checkKey(r); why != nil {
		return nil, why
	}
	if why := g.checkID(r); why != nil {
		return nil, why
	}
	if key, _ := g.ids.keyOf(r.utilization); key != g.key {
		return nil, no(wire.CodeNotCompatible, "utilization identifier and API key not compatible")
	}
	if r.width == 0 || r.height == 0 {
		return nil, no(wire.CodeNoDescriptor, "missing video stream descriptor: width, height")
	}
	if g.active != nil {
		return nil, no(wire.CodeActive, "stream already active")
	}
	keys, why := g.keysFor(r)
	if why != nil {
		return nil, why
	}
	switch err := g.config.Server.Begin(keys); {
	case errors.Is(err, ErrClosed):
		return nil, no(wire.CodeServerUnreachable, "video server cannot be reached")
	case err != nil:
		g.config.Log.Error("gateway: begin", "err", err)
		return nil, no(wire.CodeListener, "cannot initialise the stream listener")
	}
	now := g.config.Now()
	g.active = &grant{id: r.utilization, since: now, lastSeen: now}
	g.config.Log.Info("gateway: granted", "utilization_id", r.utilization.String(), "width", r.width, "height", r.height)
	if g.config.Host != "" {
		host = g.config.Host
	}
	rtp, rtcp := g.config.Server.Ports()
	answer := map[string]any{"url": host, "rtp_port": rtp, "rtcp_port": rtcp, "twcc": TransportID}
	if g.config.KeepAlive != 0 {
		answer["keepalive_s"] = int(g.config.KeepAlive / time.Second)
	}
	if keys != nil {
		answer["srtp_profile"] = keys.Profile
		answer["srtp_key"], answer["srtcp_key"] = keys.Source, keys.Receiver // []byte is base64 in JSON
	}
	return answer, nil
}

func (g *Gateway) validateStream(r request) (any, *refusal) {
	if why := g.checkRunning(r); why != nil {
		return nil, why
	}
	now := g.config.Now()
	g.active.lastSeen = now
	got, err := g.config.Server.Captured()
	switch {
	case errors.Is(err, ErrClosed):
		return nil, no(wire.CodeServerUnreachable, "video server cannot be reached")
	case err != nil:
		g.config.Log.Error("gateway: capture", "err", err)
		return nil, no(wire.CodeNotCaptured, "cannot capture the stream")
	case got.Frames:
		return validation(validationCaptured, "stream captured")
	case got.Packets:
		return validation(validationNoFrame, "packets arrive, but no whole frame")
	case now.Sub(g.active.since) > receiveTimeout:
		return nil, no(wire.CodeNotReceived, "stream not received before timeout")
	}
	return validation(validationNothing, "nothing arrives yet")
}

func validation(code int, text string) (any, *refusal) {
	return map[string]any{"validation_code": code, "validation_txt": text}, nil
}

func (g *Gateway) stopStream(r request) (any, *refusal) {
	if why := g.checkRunning(r); why != nil {
		return nil, why
	}
	g.config.Log.Info("gateway: stopped", "utilization_id", r.utilization.String())
	g.end()
	return map[string]any{"ok": "stream stopped successfully"}, nil
}

func (g *Gateway) checkRunning(r request) *refusal {
	if why := g.checkID(r); why != nil {
		return why
	}
	if g.active == nil || g.active.id != r.utilization {
		return no(wire.CodeNotRunning, "stream not running")
	}
	return nil
}
