// The receiver: two sockets and what was learned of the one stream that is granted.
// Packets are taken in input.go, reports are sent in report.go.

package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// ErrActive is for a second stream at a time.
var ErrActive = errors.New("another stream is active")

var errClosed = fmt.Errorf("receiver: %w", net.ErrClosed)

// clockRate is VP8's RTP clock, 1/s (RFC 7741 section 6.1).
const clockRate = 90000

const (
	// silence is when a source that sends nothing any more counts as gone, and
	// another SSRC may take its place. A camera in the dark may go down to 5 fps.
	silence = 2 * time.Second
	// tickEvery drives reports and gaps; a gap is given up after gapPatience: asked for
	// after 20 ms and again after 80, it heals over a round trip of 100 ms.
	tickEvery   = 20 * time.Millisecond
	gapPatience = 200 * time.Millisecond
)

// Config is what a receiver works with. The sockets are required and
// become the receiver's.
type Config struct {
	RTP, RTCP net.PacketConn
	IVFDir    string           // one file for each source; "": none
	Now       func() time.Time // default time.Now
	Random    func() float64   // default math/rand
	Log       *slog.Logger
}

// A Receiver takes one stream at a time.
type Receiver struct {
	config Config
	cname  string
	ssrc   uint32 // ours
	origin time.Time

	mu       sync.Mutex
	closed   bool
	begun    bool // a stream is granted
	cloak    *cloak
	source   *source
	stats    Stats // of this grant; what source still counts is added by Stats
	problem  error // why it cannot record
	replyTo  net.Addr
	reportAt time.Duration
	rateAt   time.Duration // when rateOf was counted
	rateOf   uint64
	rate     float64 // bit/s, measured between reports
}

// New does not read before Run.
func New(c Config) *Receiver {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Receiver{config: c, ssrc: rand.Uint32(), origin: c.Now()}
	r.cname = fmt.Sprintf("%08x@receiver", rand.Uint32()) // RFC 7022: nothing about the machine
	return r
}

// Run reads both sockets until ctx ends, then says BYE and closes them. An error
// is a socket's.
func (r *Receiver) Run(ctx context.Context) error {
	ended := make(chan error, 2)
	go func() { ended <- r.read(r.config.RTP, r.takeRTP) }()
	go func() { ended <- r.read(r.config.RTCP, r.takeRTCP) }()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	var err error
	running := 2
	for running == 2 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			r.tick()
		case err = <-ended:
			running--
		}
	}
	r.End()
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	_ = r.config.RTP.Close()
	_ = r.config.RTCP.Close()
	for ; running > 0; running-- {
		<-ended // only "use of closed network connection" can come now
	}
	return err
}

// maxFailures in a row end a socket. A single one need not: Windows reports on
// receiving that an earlier report could not be delivered.
const maxFailures = 100

func (r *Receiver) read(conn net.PacketConn, take func([]byte, net.Addr)) error {
	packet := make([]byte, 64<<10)
	for failures := 0; ; {
		n, from, err := conn.ReadFrom(packet)
		switch {
		case err == nil:
			failures = 0
			take(packet[:n], from)
		case errors.Is(err, net.ErrClosed):
			return nil
		case failures == maxFailures:
			return fmt.Errorf("receiver: %v: %w", conn.LocalAddr(), err)
		default:
			failures++
		}
	}
}

// now is the time since the receiver was made, by a clock that nobody sets.
func (r *Receiver) now() time.Duration { return r.config.Now().Sub(r.origin) }

// Ports tells where the receiver listens.
func (r *Receiver) Ports() (rtp, rtcp int) {
	port := func(a net.Addr) int {
		udp, ok := a.(*net.UDPAddr)
		if !ok {
			return 0
		}
		return udp.Port
	}
	return port(r.config.RTP.LocalAddr()), port(r.config.RTCP.LocalAddr())
}

// Begin opens the receiver for a stream, encrypted with k unless that is nil. Errors:
// one that wraps net.ErrClosed, ErrActive, wire.ErrKeys.
func (r *Receiver) Begin(k *wire.SRTP) error {
	cloak, err := newCloak(k)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return errClosed
	case r.begun:
		return ErrActive
	}
	r.begun, r.problem, r.source, r.replyTo, r.cloak = true, nil, nil, nil, cloak
	r.stats = Stats{Unasked: r.stats.Unasked, Grant: r.stats.Grant + 1}
	return nil
}

// End says BYE to the source and closes its record. What comes later is counted as
// unasked. The numbers stay readable until the next Begin.
func (r *Receiver) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		return
	}
	r.sayBye()
	r.drop()
	r.begun = false
}

// Captured says what arrives: RTP packets; frames that a decoder can show. An error wraps
// net.ErrClosed, or says why the stream is not recorded.
func (r *Receiver) Captured() (packets, frames bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, false, errClosed
	}
	if r.problem != nil {
		return false, false, r.problem
	}
	if r.source == nil {
		return false, false, nil
	}
	now := r.now()
	packets = r.source.sequence.started && now-r.source.packetAt <= silence
	frames = r.source.good && now-r.source.goodAt <= silence
	return packets, frames, nil
}

// drop forgets the source but keeps its numbers.
func (r *Receiver) drop() {
	if r.source == nil {
		return
	}
	r.source.assembler.Flush()
	r.source.addTo(&r.stats)
	if r.source.record != nil {
		if err := r.source.record.close(); err != nil {
			r.failRecord(err)
		}
	}
	r.source = nil
}

func (r *Receiver) failRecord(err error) {
	r.problem = err
	r.config.Log.Error("receiver: the stream is not recorded any more", "err", err)
}
