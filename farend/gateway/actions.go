// The four actions of a source, and its stream from the grant to the end.

package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// leasePeriods is the source's own limit (three periods without a good answer) and one
	// period for the last request on its way.
	leasePeriods = 4

	// serverPeriods is when a video server ends a stream by itself: after its gateways should have.
	serverPeriods = leasePeriods + 1

	// abandonLimit is for the end of a stream that did not begin: a source waits, and another server may
	// be tried.
	abandonLimit = time.Second

	// beginAttempts is how many video servers are tried for a stream.
	beginAttempts = 3

	// beginLimit is how long a stream may take to get its place. One that has none after that was begun
	// by a gateway that ended in the middle.
	beginLimit = 2 * requestTimeout
)

// period is how often a source validates.
func (g *Gateway) period() time.Duration {
	if g.config.KeepAlive == 0 {
		return wire.DefaultKeepAlive
	}
	return g.config.KeepAlive
}

func (g *Gateway) newUtilizationID(ctx context.Context, c *call) (reply, *wire.Refusal) {
	if why := g.checkKey(ctx, c); why != nil {
		return reply{}, why
	}
	now := g.config.Now()
	if !g.newIDs.take(c.from, now) {
		return reply{}, refuse(codeTooMany, "too many new utilization ids: ask again later")
	}
	source, err := g.config.Store.AddSource(ctx, c.customer.ID, sourceLimits(), now)
	switch {
	case errors.Is(err, store.ErrFull):
		return reply{}, refuse(codeTooMany, "all places for utilization ids are in use")
	case err != nil:
		return reply{}, g.storeFault("utilization ids", err)
	}
	g.noteEvent("gateway: new utilization_id", c.from, source.ID)
	return reply{Answer: wire.Answer{Utilization: source.ID}}, nil
}

// noteBoard keeps what a source says of itself. That it cannot be written down stops no stream.
func (g *Gateway) noteBoard(ctx context.Context, c *call) {
	if c.board == (wire.Board{}) {
		return
	}
	if err := g.config.Store.SetBoard(ctx, c.source.ID, c.board, g.config.Now()); err != nil {
		g.noteFault("gateway: note a board", err)
	}
}

// noteUse keeps the place of a source that asked for a stream and got none.
func (g *Gateway) noteUse(ctx context.Context, c *call) {
	if err := g.config.Store.NoteUse(ctx, c.source.ID, g.config.Now()); err != nil {
		g.noteFault("gateway: note a source", err)
	}
}

// checkStart says why a stream may not start.
func (g *Gateway) checkStart(ctx context.Context, c *call) *wire.Refusal {
	if why := g.checkBoth(ctx, c); why != nil {
		return why
	}
	c.isProven = true
	if why := checkEnabled(c.source); why != nil {
		return why
	}
	g.noteBoard(ctx, c)
	if c.width == 0 || c.height == 0 {
		return refuse(wire.CodeNoDescriptor, "missing video stream descriptor: width, height")
	}
	if c.codec != "" && !strings.EqualFold(c.codec, "VP8") {
		return refuse(wire.CodeCodecUnsupported, "codec of the stream not supported: VP8 only")
	}
	return nil
}

func (g *Gateway) startStream(ctx context.Context, c *call) (reply, *wire.Refusal) {
	var keys *wire.SRTP
	var place stream.Place
	why := g.checkStart(ctx, c)
	if why == nil {
		keys, why = g.makeKeys(c)
	}
	if why == nil {
		place, why = g.beginSomewhere(ctx, c, keys)
	}
	if why != nil {
		if c.isProven {
			g.noteUse(ctx, c)
		}
		return reply{}, why
	}
	answer := wire.Answer{
		URL: place.Host, RTPPort: wire.NewInt(place.RTPPort), RTCPPort: wire.NewInt(place.RTCPPort),
		RTX: wire.Bool(place.RTX),
	}
	if answer.URL == "" {
		answer.URL = c.host
	}
	if place.Transport != 0 {
		answer.Transport.Int = wire.NewInt(int(place.Transport))
	}
	if place.CaptureTime != 0 {
		answer.CaptureTime.Int = wire.NewInt(int(place.CaptureTime))
	}
	if g.config.KeepAlive != 0 {
		answer.KeepAlive.Int = wire.NewInt(int(g.config.KeepAlive / time.Second))
	}
	answer.SetSRTP(keys)
	return reply{Answer: answer}, nil
}

// beginSomewhere begins a stream at the first of some video servers that takes it.
func (g *Gateway) beginSomewhere(ctx context.Context, c *call, keys *wire.SRTP) (stream.Place, *wire.Refusal) {
	grant := stream.Grant{
		Customer: c.customer.ID, Source: c.source.ID, Asker: c.from, SSRC: c.ssrc, Offer: c.offer, SRTP: keys,
		Width: c.width, Height: c.height, Lease: serverPeriods * g.period(),
	}
	var last error
	tried := map[string]bool{}
	for range beginAttempts {
		name, server, err := g.config.Servers.Choose(ctx, grant)
		if err != nil {
			last = errors.Join(last, err)
			break
		}
		if tried[name] { // there is no other
			break
		}
		tried[name] = true
		grant.ID = rand.Text() // each attempt is a stream of its own
		if why := g.addStream(ctx, c, grant, name); why != nil {
			return stream.Place{}, why
		}
		place, err := server.Begin(ctx, grant)
		if err == nil {
			return place, g.keepPlace(ctx, c, grant.ID, server, place)
		}
		last = err
		g.abandon(ctx, grant.ID, server, err)
		if ctx.Err() != nil || errors.Is(err, stream.ErrAmbiguous) || errors.Is(err, stream.ErrNeedsMux) {
			break
		}
	}
	return stream.Place{}, g.explainBegin(last)
}

// addStream notes the stream before it begins: of two requests one gets it.
func (g *Gateway) addStream(ctx context.Context, c *call, grant stream.Grant, server string) *wire.Refusal {
	now := g.config.Now()
	row := store.Stream{
		ID: grant.ID, Source: c.source.ID, Customer: c.customer.ID, Server: server, SSRC: grant.SSRC, Asker: c.from,
		Encrypted: grant.SRTP != nil, Width: grant.Width, Height: grant.Height, Since: now, LastSeen: now,
		Lease: leasePeriods * g.period(),
	}
	err := g.config.Store.BeginStream(ctx, row, c.customer.CamerasMax, now)
	if errors.Is(err, store.ErrActive) && g.endLost(ctx, c.source.ID) {
		err = g.config.Store.BeginStream(ctx, row, c.customer.CamerasMax, now)
	}
	switch {
	case errors.Is(err, store.ErrActive):
		return refuse(wire.CodeAlreadyActive, "stream already active")
	case errors.Is(err, store.ErrUnknown): // removed since it was looked up
		return refuse(wire.CodeUtilizationInvalid, "utilization identifier not valid")
	case errors.Is(err, store.ErrCamerasMax):
		return refuse(wire.CodeAlreadyActive, fmt.Sprintf("this key allows %d cameras at once", c.customer.CamerasMax))
	case err != nil:
		return g.storeFault("begin a stream", err)
	}
	return nil
}

// keepPlace notes where a stream goes. One that was ended meanwhile, or that cannot be noted, is closed.
func (g *Gateway) keepPlace(
	ctx context.Context, c *call, id string, server stream.VideoServer, place stream.Place,
) *wire.Refusal {
	err := g.config.Store.SetPlace(ctx, id, place)
	if err != nil {
		g.abandon(ctx, id, server, err)
		if errors.Is(err, store.ErrUnknown) {
			return refuse(wire.CodeStatusFailed, "the stream was stopped while it began")
		}
		return g.storeFault("begin a stream", err)
	}
	g.noteEvent("gateway: granted", c.from, c.source.ID, "stream", id, "width", c.width, "height", c.height)
	g.addEvent(ctx, store.Event{Customer: c.customer.ID, Source: c.source.ID, Stream: id, Kind: "granted",
		Words: "from " + c.from.String()})
	return nil
}

// abandon ends a stream that did not begin. The server may have begun it all the same, if its answer was
// lost.
func (g *Gateway) abandon(ctx context.Context, id string, server stream.VideoServer, because error) {
	if err := g.config.Store.EndStream(ctx, id, "it did not begin", g.config.Now()); err != nil &&
		!errors.Is(err, store.ErrUnknown) {
		g.noteFault("gateway: end a stream that did not begin", err)
	}
	if errors.Is(because, stream.ErrFull) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, abandonLimit)
	defer cancel()
	_ = server.End(ctx, id, "it did not begin") // its lease ends it at the latest
}

// explainBegin is the refusal after no video server took a stream.
func (g *Gateway) explainBegin(err error) *wire.Refusal {
	g.noteFault("gateway: begin", err)
	switch {
	case errors.Is(err, stream.ErrFull):
		return refuse(wire.CodeNoListener, "cannot initialise the stream listener: no place is left")
	case errors.Is(err, stream.ErrAmbiguous):
		return refuse(wire.CodeNoListener, "cannot initialise the stream listener: another source without an "+
			"SSRC sends from the same address")
	case errors.Is(err, stream.ErrNeedsMux):
		return refuse(wire.CodeNoListener, "cannot initialise the stream listener: the video server takes RTP and "+
			"RTCP on one port only, and the source does not offer rtcp-mux")
	case errors.Is(err, stream.ErrUnreachable) || isAway(err):
		return refuse(wire.CodeServerUnreachable, "video server cannot be reached")
	}
	return refuse(wire.CodeNoListener, "cannot initialise the stream listener")
}

// checkRunning finds the source and its stream.
func (g *Gateway) checkRunning(ctx context.Context, c *call) (store.Stream, *wire.Refusal) {
	if why := g.checkID(ctx, c); why != nil {
		return store.Stream{}, why
	}
	return g.runningStream(ctx, c.source.ID)
}

func (g *Gateway) runningStream(ctx context.Context, source wire.ID) (store.Stream, *wire.Refusal) {
	row, err := g.config.Store.ActiveStream(ctx, source)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return row, refuse(wire.CodeNotRunning, "stream not running")
	case err != nil:
		return row, g.storeFault("streams", err)
	}
	return row, nil
}

// checkOwner says why a source that streams may not go on, and ends its stream then.
func (g *Gateway) checkOwner(ctx context.Context, c *call) *wire.Refusal {
	customer, err := g.config.Store.CustomerByID(ctx, c.source.Customer)
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return g.storeFault("API keys", err)
	}
	why := refuse(wire.CodeKeyInvalid, "API key not valid: it was removed")
	if err == nil {
		why = checkCustomer(customer, g.config.Now())
	}
	if why == nil {
		c.customer, c.isProven = customer, true
		why = checkEnabled(c.source)
	}
	if why == nil {
		return nil
	}
	if row, none := g.runningStream(ctx, c.source.ID); none == nil {
		g.endStream(ctx, row, why.Reason)
	}
	return why
}

func (g *Gateway) validateStream(ctx context.Context, c *call) (reply, *wire.Refusal) {
	if why := g.checkID(ctx, c); why != nil {
		return reply{}, why
	}
	if why := g.checkOwner(ctx, c); why != nil {
		return reply{}, why
	}
	g.noteBoard(ctx, c)
	row, why := g.runningStream(ctx, c.source.ID)
	if why != nil {
		return reply{}, why
	}
	err := g.config.Store.TouchStream(ctx, row.ID, g.config.Now())
	switch {
	case errors.Is(err, store.ErrUnknown):
		return reply{}, refuse(wire.CodeNotRunning, "stream not running")
	case err != nil:
		return reply{}, g.storeFault("streams", err)
	}
	return g.askServer(ctx, c, row)
}

// askServer says what arrives of a stream. One that its server does not have any more is over: its
// source starts anew.
func (g *Gateway) askServer(ctx context.Context, c *call, row store.Stream) (reply, *wire.Refusal) {
	server, err := g.config.Servers.ByName(ctx, row.Server)
	if g.isDead(err) {
		g.endStream(ctx, row, serverDied)
		return reply{}, refuse(wire.CodeNotRunning, "stream not running: its video server is gone")
	}
	var verdict stream.Verdict
	if err == nil {
		verdict, err = server.Captured(ctx, row.ID, c.from)
	}
	switch {
	case err == nil:
		said := wire.Answer{Validation: wire.NewInt(verdict.Code), Explanation: wire.Text(verdict.Words)}
		return reply{Answer: said}, nil
	case errors.Is(err, stream.ErrUnknown):
		g.endStream(ctx, row, serverForgot)
		return reply{}, refuse(wire.CodeNotRunning, "stream not running: its video server was started again")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reply{}, refuse(wire.CodeNotReceived, "stream not received before timeout")
	}
	g.noteFault("gateway: capture", err)
	if errors.Is(err, stream.ErrUnreachable) || isAway(err) || server == nil {
		return reply{}, refuse(wire.CodeServerUnreachable, "video server cannot be reached")
	}
	return reply{}, refuse(wire.CodeNotCaptured, "cannot capture the stream")
}

func (g *Gateway) stopStream(ctx context.Context, c *call) (reply, *wire.Refusal) {
	row, why := g.checkRunning(ctx, c)
	if why != nil {
		return reply{}, why
	}
	const because = "stopped by its source"
	err := g.config.Store.EndStream(ctx, row.ID, because, g.config.Now())
	switch {
	case errors.Is(err, store.ErrUnknown):
		return reply{}, refuse(wire.CodeNotRunning, "stream not running")
	case err != nil:
		return reply{}, g.storeFault("end a stream", err)
	}
	g.noteEvent("gateway: stopped", c.from, c.source.ID, "stream", row.ID)
	g.closeAll(ctx, []ending{{row, because}})
	return reply{Answer: wire.Answer{OK: "stream stopped successfully"}}, nil
}
