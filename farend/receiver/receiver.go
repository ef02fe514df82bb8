// The receiver: two sockets and what was learned of the one stream that is granted. Packets
// are taken in input.go, reports are sent in report.go.

package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
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
	// dueInterval is how often the receiver looks for what is due: reports, feedback, gaps.
	dueInterval = 20 * time.Millisecond

	// gapTimeout is when a missing packet is given up. It is requested after 20 ms and again
	// after 80, so that it heals over a round trip of 100 ms.
	gapTimeout = 200 * time.Millisecond
)

// Config is what a receiver works with. The sockets are required and become the receiver's.
type Config struct {
	RTP, RTCP net.PacketConn
	IVFDir    string           // one file for each sender; "": none
	Now       func() time.Time // default time.Now
	Random    func() float64   // from 0 to 1, 1 excluded; default math/rand
	Log       *slog.Logger

	// AnyAddress takes a stream that announced no SSRC from another address than its asker's,
	// too. A source behind a proxy needs that; a stranger likes it.
	AnyAddress bool
}

// A Receiver takes one stream at a time.
type Receiver struct {
	config Config
	cname  string
	ssrc   uint32 // ours
	origin time.Time

	// mu guards all below. RTCP is sent under it, since a UDP write does not block, and rare
	// events are logged: nothing of ours is called back.
	mu          sync.Mutex
	closed      bool
	granted     bool
	srtp        *srtpContext
	latch       latch
	strangers   strangers
	sender      *sender
	begunAt     time.Duration // the grant
	stats       Stats         // of this grant; what sender still counts is added by Stats
	recordError error         // why it cannot record
	replyTo     net.Addr

	earlyReports []earlyReport

	reportDueAt time.Duration
	rateAt      time.Duration // when rateBytes was counted
	rateBytes   uint64
	rate        float64 // bit/s, measured between reports

	// Closing a long record takes a while (see ivf), and a source waits for its answer to stop_stream
	// less than a second: each record is closed by a goroutine of its own, one at a time, without mu.
	closing   sync.WaitGroup // Run waits for them
	closingMu sync.Mutex     // held while one is closed; mu may be taken under it, not the reverse
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

// Run reads both sockets until ctx ends, then says BYE, closes them, and returns once the records are
// closed, too. An error is a socket's.
func (r *Receiver) Run(ctx context.Context) error {
	ended := make(chan error, 2)
	go func() { ended <- r.readSocket(r.config.RTP, r.takeRTP) }()
	go func() { ended <- r.readSocket(r.config.RTCP, r.takeRTCP) }()
	ticker := time.NewTicker(dueInterval)
	defer ticker.Stop()
	var err error
	running := 2
	for running == 2 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			r.sendDue()
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
	r.closing.Wait()
	return err
}

// readFailuresMax in a row end a socket. A single one need not: Windows reports on receiving
// that an earlier report could not be delivered.
const readFailuresMax = 100

func (r *Receiver) readSocket(conn net.PacketConn, take func([]byte, net.Addr)) error {
	packet := make([]byte, 64<<10)
	for failures := 0; ; {
		n, from, err := conn.ReadFrom(packet)
		switch {
		case err == nil:
			failures = 0
			take(packet[:n], from)
		case errors.Is(err, net.ErrClosed):
			return nil
		case failures == readFailuresMax:
			return fmt.Errorf("receiver: %v: %w", conn.LocalAddr(), err)
		default:
			failures++
		}
	}
}

// elapsed is the time since the receiver was made, by a clock that nobody sets.
func (r *Receiver) elapsed() time.Duration { return r.config.Now().Sub(r.origin) }

// Ports says where the receiver listens.
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

// Begin opens the receiver for a stream, encrypted with k unless that is nil. ssrc is what the
// source announced, 0 if nothing; asker is the address from which it asked, not valid if that is
// unknown. In the clear they alone tell it from others. Errors: one that wraps net.ErrClosed,
// ErrActive, wire.ErrKeys.
func (r *Receiver) Begin(k *wire.SRTP, ssrc uint32, asker netip.Addr) error {
	srtp, err := newSRTPContext(k)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return errClosed
	case r.granted:
		return ErrActive
	}
	r.granted, r.recordError, r.sender, r.replyTo, r.srtp = true, nil, nil, nil, srtp
	r.latch, r.earlyReports, r.begunAt = latch{announced: ssrc}, nil, r.elapsed()
	r.noteAsker(asker)
	r.stats = Stats{Unasked: r.stats.Unasked, Grant: r.stats.Grant + 1}
	return nil
}

// noteAsker notes from where the source asks the gateway.
func (r *Receiver) noteAsker(asker netip.Addr) {
	if !r.config.AnyAddress && asker.IsValid() {
		r.latch.asker = asker.Unmap().WithZone("")
	}
}

// End says BYE to the sender and has its record closed, for which it does not wait. What comes later
// is counted as unasked. The numbers stay readable until the next Begin.
func (r *Receiver) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.granted {
		return
	}
	r.sendBye()
	r.dropSender()
	r.granted = false
}

// Codes of Captured: 0 is the protocol's, the rest are ours to choose.
const (
	captured         = 0
	capturedNothing  = 1
	capturedNoFrame  = 2
	capturedDamaged  = 3
	receptionTimeout = 10 * time.Second
)

// Captured says what arrives: a validation code of the protocol, 0 if it is pictures that can be
// shown, and words for it. asker is the address from which the source asks now: its packets
// come from there, too. An error wraps net.ErrClosed; or os.ErrDeadlineExceeded if nothing came
// for 10 s or the source said BYE; or says why the stream is not recorded.
func (r *Receiver) Captured(asker netip.Addr) (code int, words string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, "", errClosed
	}
	if r.granted {
		r.noteAsker(asker)
	}
	if r.recordError != nil {
		return 0, "", r.recordError
	}
	now := r.elapsed()
	switch state := r.state(now); state {
	case stateStreaming:
		return captured, "stream captured", nil
	case stateNoKeyFrame:
		return capturedNoFrame, "packets arrive, but no key frame yet", nil
	case stateDamaged:
		return capturedDamaged, "packets arrive, but no picture of them can be shown", nil
	default:
		if now-r.lastHeard() > receptionTimeout || r.latch.hasSaidBye(now) {
			return 0, "", fmt.Errorf("receiver: %s: %w", state, os.ErrDeadlineExceeded)
		}
	}
	if r.strangers.present {
		return capturedNothing, "somebody else sends here, the source does not", nil
	}
	return capturedNothing, "nothing arrives yet", nil
}

// lastHeard is when the source was heard last, or when it was granted.
func (r *Receiver) lastHeard() time.Duration {
	if r.sender == nil {
		return r.begunAt
	}
	return r.sender.packetAt
}

// dropSender forgets the sender but keeps its numbers.
func (r *Receiver) dropSender() {
	if r.sender == nil {
		return
	}
	r.sender.assembler.Flush()
	r.sender.addStats(&r.stats)
	if r.sender.record != nil {
		record, grant := r.sender.record, r.stats.Grant
		r.closing.Go(func() { r.closeRecord(record, grant) })
	}
	r.sender = nil
}
