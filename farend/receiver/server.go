// The Server: sockets, the goroutines that read them, and the one that sends what is due. What it does
// for a gateway is in streams.go, which stream a packet belongs to in table.go.
//
// Locks, in order: Server.mu before table.mu, pool.mu and session.mu; none of these three is held while
// another of them is taken.

package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// Config is what a Server works with. Without RTP and without a pool, it opens one pair of ports, or with
// Mux one port, for all streams.
type Config struct {
	Host              string // address to listen on; "": all
	Announce          string // Place.Host; "": the host by which the source reached the gateway
	RTPPort, RTCPPort int    // 0: any
	Mux               bool   // RTP and RTCP on one port, RTPPort (RFC 5761)
	First, Last       int    // a pool of ports, of which each stream has a pair; 0: no pool

	RTP, RTCP net.PacketConn // sockets that are open already, which become the Server's; RTCP nil: Mux

	CamerasMax int // streams at a time; 0: DefaultCameras, or as many as the pool has pairs

	// AnyAddress takes a stream that announced no SSRC from another address than its asker's,
	// too. A source behind a proxy needs that; a stranger likes it.
	AnyAddress bool

	// Sinks makes what takes a stream; the source gets its grant once it has returned. nil: nothing
	// takes it.
	Sinks func(stream.Grant) []stream.Sink

	Now    func() time.Time // default time.Now
	Random func() float64   // from 0 to 1, 1 excluded; default math/rand
	Log    *slog.Logger
}

// DefaultCameras is how many streams there may be at a time if nothing else is said.
const DefaultCameras = 1000

// Totals count since the Server was made.
type Totals struct {
	Datagrams   uint64 // of RTP and RTCP that were read
	Unasked     uint64 // of them: of no stream
	Malformed   uint64 // of them: neither RTP nor RTCP
	KernelDrops uint64 // that were never read: the socket's buffer was full; Linux alone counts them
	Streams     uint64 // begun
}

// A Server takes many streams.
type Server struct {
	config   Config
	origin   time.Time
	table    *table
	pool     *pool // nil: one pair, or one port, for all
	rtp      socket
	rtcp     socket // rtp with Mux
	capacity int

	datagrams, unasked, malformed, begun, pastDrops atomic.Uint64

	servedAt atomic.Int64 // when Run last served all streams, in ns since origin; 0: Run does not run

	strangersMu sync.Mutex
	strangers   strangers // of no stream, where several share a port

	due     []*entry       // Run's
	closing sync.WaitGroup // sinks that are being closed

	mu     sync.Mutex // begin and end take effect one after the other
	closed bool
	pairs  map[string]*pair // by stream
	past   pastStats
}

// Listen opens the sockets. Nothing is read before Run.
func Listen(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Sinks == nil {
		c.Sinks = func(stream.Grant) []stream.Sink { return nil }
	}
	s := &Server{config: c, origin: c.Now(), table: newTable(), pairs: map[string]*pair{}, capacity: c.CamerasMax}
	if err := s.open(); err != nil {
		return nil, err
	}
	if s.capacity == 0 {
		s.capacity = DefaultCameras
	}
	if s.pool != nil {
		s.capacity = min(s.capacity, s.pool.size())
	}
	if udp, ok := s.rtp.(udpSocket); ok && udp.buffer > 0 {
		warnOfBuffer(c.Log, udp.buffer, s.capacity)
	}
	return s, nil
}

func (s *Server) open() (err error) {
	c := &s.config
	switch {
	case c.First != 0 || c.Last != 0:
		s.pool, err = newPool(c.Host, c.First, c.Last)
		return err
	case c.RTP != nil && c.RTCP != nil:
		s.rtp, s.rtcp = socketOf(c.RTP), socketOf(c.RTCP)
		return nil
	case c.RTP != nil:
		s.rtp = socketOf(c.RTP)
		s.rtcp = s.rtp
		return nil
	}
	if s.rtp, err = listenUDP(c.Host, c.RTPPort, sharedBuffer); err != nil {
		return err
	}
	if c.Mux {
		s.rtcp = s.rtp
		return nil
	}
	if s.rtcp, err = listenUDP(c.Host, c.RTCPPort, sharedBuffer); err != nil {
		_ = s.rtp.Close()
	}
	return err
}

// isMux says that RTP and RTCP share a port.
func (s *Server) isMux() bool { return s.pool == nil && s.rtp == s.rtcp }

// Ports are those for all streams; 0 where each has a pair of its own.
func (s *Server) Ports() (rtp, rtcp int) {
	if s.pool != nil {
		return 0, 0
	}
	return s.rtp.port(), s.rtcp.port()
}

// Load is how many streams run, and how many may.
func (s *Server) Load() (streams, capacity int) { return s.table.size(), s.capacity }

// Totals may be called at any time.
func (s *Server) Totals() Totals {
	t := Totals{
		Datagrams: s.datagrams.Load(), Unasked: s.unasked.Load(), Malformed: s.malformed.Load(),
		KernelDrops: s.pastDrops.Load(), Streams: s.begun.Load(),
	}
	switch {
	case s.pool != nil:
		t.KernelDrops += s.pool.drops()
	case s.isMux():
		t.KernelDrops += s.rtp.drops()
	default:
		t.KernelDrops += s.rtp.drops() + s.rtcp.drops()
	}
	return t
}

// servedMax is many times what all streams of a busy server take.
const servedMax = 5 * time.Second

// Ready says why no streams are taken: Run does not run, or a stream holds it up. Sockets that cannot be
// read end Run.
func (s *Server) Ready() error {
	at := time.Duration(s.servedAt.Load())
	if at == 0 {
		return errors.New("receiver: it does not run")
	}
	if late := s.config.Now().Sub(s.origin) - at; late > servedMax {
		return fmt.Errorf("receiver: nothing was sent for %v", late)
	}
	return nil
}

func (s *Server) noteServed() { s.servedAt.Store(max(int64(s.config.Now().Sub(s.origin)), 1)) }

// Run takes streams until ctx ends, then says BYE to all, closes the sockets, and returns once what takes
// the streams is closed, too. An error is a socket's.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error, 2)
	running := s.readShared(ended)
	s.noteServed()
	ticker := time.NewTicker(dueInterval)
	defer ticker.Stop()
	var err error
	for failed := false; !failed && ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			s.sendDue()
			s.noteServed()
		case err = <-ended:
			running--
			failed = true
		}
	}
	s.servedAt.Store(0)
	s.close()
	for ; running > 0; running-- {
		<-ended // only "use of closed network connection" can come now
	}
	s.closing.Wait()
	return err
}

// readShared starts what reads the ports for all streams, and says how many goroutines that are.
func (s *Server) readShared(ended chan<- error) int {
	read := func(from socket, take handler) {
		if udp, ok := from.(udpSocket); ok {
			ended <- readMany(udp.UDPConn, pauseFor(udp.buffer, s.capacity), s.config.Now, take)
			return
		}
		ended <- readSocket(from, s.config.Now, take)
	}
	switch {
	case s.pool != nil:
		return 0
	case s.isMux():
		go read(s.rtp, s.takeMux)
		return 1
	}
	go read(s.rtp, s.takeRTP)
	go read(s.rtcp, s.takeRTCP)
	return 2
}

// close ends all streams and closes the sockets.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, e := range s.table.all(nil) {
		s.endStream(e.id, "the receiver ends")
	}
	if s.pool != nil {
		s.pool.closeAll()
		return
	}
	_ = s.rtp.Close()
	_ = s.rtcp.Close()
}

// sendDue lets every session send what is due.
func (s *Server) sendDue() {
	now := s.config.Now()
	s.due = s.table.all(s.due[:0])
	for _, e := range s.due {
		e.sendDue(now)
	}
	clear(s.due)
	if s.pool != nil {
		s.pool.closeQuiet(now)
	}
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	s.strangers.endQuiet(now.Sub(s.origin), s.config.Log)
}

// takeMux takes a datagram of a port that RTP and RTCP share.
func (s *Server) takeMux(b []byte, from netip.AddrPort, now time.Time) {
	if isRTCP(b) {
		s.takeRTCP(b, from, now)
		return
	}
	s.takeRTP(b, from, now)
}

// takeRTP takes a datagram of a port for all streams.
func (s *Server) takeRTP(b []byte, from netip.AddrPort, now time.Time) {
	s.datagrams.Add(1)
	if !isRTP(b) {
		s.malformed.Add(1)
		return
	}
	address := netip.AddrPortFrom(plain(from.Addr()), from.Port())
	ssrc := ssrcOfRTP(b)
	e := s.routeResend(b, address)
	if e == nil {
		e = s.table.route(ssrc, address)
	}
	if e == nil {
		s.leaveOut(arrival{from: address, ssrc: ssrc, now: now})
		return
	}
	switch t := e.takeRTP(b, address, now); {
	case t.ended:
		s.unasked.Add(1)
	case t.moved:
		s.table.noteHeld(e, t.from, t.ssrc)
	}
}

// routeResend finds the session that requested what a resend brings; nil: none, or it is no resend.
func (s *Server) routeResend(b []byte, from netip.AddrPort) (found *entry) {
	if b[1]&0x7f != resendType {
		return nil
	}
	h, ok := parseHeader(b)
	if !ok {
		return nil
	}
	var room [8]*entry
	candidates := s.table.routeResend(from, room[:0])
	wanting := 0
	for _, e := range candidates {
		switch e.claimResend(&h) {
		case claimKnown:
			return e
		case claimWanted:
			found = e
			wanting++
		}
	}
	if wanting != 1 { // which one cannot be told: a later resend will say it
		return nil
	}
	return found
}

// takeRTCP takes a datagram of a port for all streams.
func (s *Server) takeRTCP(b []byte, from netip.AddrPort, now time.Time) {
	s.datagrams.Add(1)
	if !isRTCP(b) {
		s.malformed.Add(1)
		return
	}
	ssrc := ssrcOfRTCP(b)
	address := netip.AddrPortFrom(plain(from.Addr()), from.Port())
	e := s.table.route(ssrc, address)
	if e == nil {
		s.leaveOut(arrival{from: address, ssrc: ssrc, now: now})
		return
	}
	if e.takeRTCP(b, from, now) {
		s.unasked.Add(1)
	}
}

// leaveOut counts a packet of no stream, and says so once.
func (s *Server) leaveOut(a arrival) {
	s.unasked.Add(1)
	if s.table.size() == 0 {
		return // of a stream that is over, for one
	}
	a.at = a.now.Sub(s.origin)
	s.strangersMu.Lock()
	defer s.strangersMu.Unlock()
	s.strangers.note(a, "neither its SSRC nor its address belongs to a stream that runs", s.config.Log)
}

// readPair starts what reads the ports of one stream.
func (s *Server) readPair(p *pair) {
	read := func(from socket, take handler) {
		p.readers.Go(func() {
			if err := readSocket(from, s.config.Now, take); err != nil {
				s.config.Log.Error("receiver: a port is not read any more", "error", err)
			}
		})
	}
	read(p.rtp, func(b []byte, from netip.AddrPort, at time.Time) { s.takePairRTP(p, b, from, at) })
	read(p.rtcp, func(b []byte, from netip.AddrPort, at time.Time) { s.takePairRTCP(p, b, from, at) })
}

func (s *Server) takePairRTP(p *pair, b []byte, from netip.AddrPort, now time.Time) {
	s.datagrams.Add(1)
	one := p.session.Load()
	address := netip.AddrPortFrom(plain(from.Addr()), from.Port())
	if one == nil || one.takeRTP(b, address, now).ended {
		s.unasked.Add(1)
	}
}

func (s *Server) takePairRTCP(p *pair, b []byte, from netip.AddrPort, now time.Time) {
	s.datagrams.Add(1)
	one := p.session.Load()
	if one == nil || one.takeRTCP(b, from, now) {
		s.unasked.Add(1)
	}
}

var errClosed = fmt.Errorf("receiver: %w", errors.Join(stream.ErrUnreachable, net.ErrClosed))
