// What a Server does for a gateway, and for whoever shows streams.

package receiver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

var _ stream.VideoServer = (*Server)(nil)

// Begin opens a place for a stream. In the clear, its SSRC and asker alone tell it from others. Errors:
// stream.ErrUnreachable, stream.ErrFull, stream.ErrAmbiguous, stream.ErrNeedsMux, wire.ErrKeys.
func (s *Server) Begin(_ context.Context, g stream.Grant) (stream.Place, error) {
	if s.isMux() && len(g.Offer) > 0 && !slices.Contains(g.Offer, wire.OfferMux) {
		return stream.Place{}, fmt.Errorf("receiver: %w", stream.ErrNeedsMux)
	}
	one, place, err := s.beginStream(g)
	if err != nil {
		return stream.Place{}, err
	}
	// Making a sink may take a while. The source sends once it has its answer.
	for _, sink := range s.config.Sinks(g) {
		if !one.attach(sink) { // it has ended meanwhile
			sink.Close()
		}
	}
	return place, nil
}

func (s *Server) beginStream(g stream.Grant) (*session, stream.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, stream.Place{}, errClosed
	}
	if s.table.size() >= s.capacity {
		return nil, stream.Place{}, fmt.Errorf("receiver: %d streams: %w", s.capacity, stream.ErrFull)
	}
	one, ports, err := s.newSession(g)
	if err != nil {
		return nil, stream.Place{}, err
	}
	if err := s.table.add(g.ID, one, s.pool == nil); err != nil {
		s.giveBack(ports)
		return nil, stream.Place{}, err
	}
	if ports != nil {
		s.pairs[g.ID] = ports
		ports.session.Store(one)
		s.readPair(ports)
	}
	s.begun.Add(1)
	return one, s.placeOf(g, ports), nil
}

// newSession makes a session, with ports of its own if there is a pool. s.mu is held.
func (s *Server) newSession(g stream.Grant) (*session, *pair, error) {
	c := sessionConfig{
		grant: g, now: s.config.Now, random: s.config.Random, log: s.config.Log, anyAddress: s.config.AnyAddress,
	}
	if s.pool == nil {
		c.send = s.rtcp.write
		one, err := newSession(c)
		return one, nil, err
	}
	ports, err := s.pool.take()
	if err != nil {
		return nil, nil, fmt.Errorf("receiver: no port for a stream: %w", err)
	}
	c.send = ports.write
	one, err := newSession(c)
	if err != nil {
		s.giveBack(ports)
		return nil, nil, err
	}
	return one, ports, nil
}

// giveBack is for ports that no stream uses any more, if there are some.
func (s *Server) giveBack(ports *pair) {
	if ports != nil {
		s.pastDrops.Add(ports.rtp.drops() + ports.rtcp.drops())
		s.pool.giveBack(ports, s.config.Now())
	}
}

// placeOf says where a stream goes, and what is wanted of it: what the source offers, or everything if
// it says nothing of that, as over plain http: a source ignores what it does not know.
func (s *Server) placeOf(g stream.Grant, ports *pair) stream.Place {
	p := stream.Place{Host: s.config.Announce}
	wanted := func(offer string) bool { return len(g.Offer) == 0 || slices.Contains(g.Offer, offer) }
	p.RTX = wanted(wire.OfferRTX)
	if wanted(wire.OfferTransport) {
		p.Transport = transportID
	}
	if wanted(wire.OfferCaptureTime) {
		p.CaptureTime = captureTimeID
	}
	if ports != nil {
		p.RTPPort, p.RTCPPort = ports.rtp.port(), ports.rtcp.port()
	} else {
		p.RTPPort, p.RTCPPort = s.Ports()
	}
	return p
}

// Captured says what arrives of a stream.
func (s *Server) Captured(_ context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	e := s.table.find(id)
	if e == nil {
		return stream.Verdict{}, s.unknown(id)
	}
	s.table.noteAsker(e, asker)
	return e.captured(asker)
}

// unknown says that a stream does not run, or why none does.
func (s *Server) unknown(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return fmt.Errorf("receiver: stream %q: %w", id, stream.ErrUnknown)
}

// End says BYE to the source and closes the place. What comes later is unasked.
func (s *Server) End(_ context.Context, id, because string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.endStream(id, because) {
		return fmt.Errorf("receiver: stream %q: %w", id, stream.ErrUnknown)
	}
	return nil
}

// endStream is called with mu held. Closing a sink may take a while, and a source waits for its answer
// to stop_stream less than a second: each stream's are closed by a goroutine, for which Run waits.
func (s *Server) endStream(id, because string) bool {
	e := s.table.remove(id)
	if e == nil {
		return false
	}
	sinks := e.end(because)
	s.past.add(id, e.statsNow())
	if ports := s.pairs[id]; ports != nil {
		delete(s.pairs, id)
		s.giveBack(ports)
	}
	s.closeSinks(sinks)
	return true
}

func (s *Server) closeSinks(sinks []stream.Sink) {
	if len(sinks) == 0 {
		return
	}
	s.closing.Go(func() {
		for _, sink := range sinks {
			sink.Close()
		}
	})
}

// Stats are those of a stream that runs, or of one of the last that ended.
func (s *Server) Stats(id string) (stream.Stats, bool) {
	if e := s.table.find(id); e != nil {
		return e.statsNow(), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.past.find(id)
}

// AllStats appends those of all streams that run.
func (s *Server) AllStats(to []stream.Named) []stream.Named {
	for _, e := range s.table.all(nil) {
		to = append(to, stream.Named{ID: e.id, Customer: e.grant.Customer, Source: e.grant.Source, Stats: e.statsNow()})
	}
	return to
}

// Attach hands a stream that runs to a sink, from now on; it may begin with any packet. Once detach
// returns, no method of the sink is called any more; a sink must not call it from within one. Close is
// called at the end of the stream unless the sink was detached.
func (s *Server) Attach(id string, sink stream.Sink) (detach func(), err error) {
	e := s.table.find(id)
	if e == nil || !e.attach(sink) {
		return nil, s.unknown(id)
	}
	return func() { e.detach(sink) }, nil
}

// RequestKeyFrame asks the source for a key frame, at most every 500 ms. A sink may call it.
func (s *Server) RequestKeyFrame(id string) error {
	e := s.table.find(id)
	if e == nil {
		return fmt.Errorf("receiver: stream %q: %w", id, stream.ErrUnknown)
	}
	e.keyFrameAsked.Store(true)
	return nil
}

// pastMax streams that ended are remembered.
const pastMax = 256

// pastStats are those of the last streams that ended. The zero value has none.
type pastStats struct {
	byID map[string]stream.Stats
	ids  [pastMax]string
	next int
}

func (p *pastStats) add(id string, s stream.Stats) {
	if p.byID == nil {
		p.byID = map[string]stream.Stats{}
	}
	delete(p.byID, p.ids[p.next])
	p.ids[p.next], p.byID[id] = id, s
	p.next = (p.next + 1) % pastMax
}

func (p *pastStats) find(id string) (stream.Stats, bool) {
	s, ok := p.byID[id]
	return s, ok
}
