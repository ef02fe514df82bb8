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
	sender      *sender
	stats       Stats // of this grant; what sender still counts is added by Stats
	recordError error // why it cannot record
	replyTo     net.Addr
	reportDueAt time.Duration
	rateAt      time.Duration // when rateBytes was counted
	rateBytes   uint64
	rate        float64 // bit/s, measured between reports
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

// Run reads both sockets until ctx ends, then says BYE and closes them. An error is a
// socket's.
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

// Begin opens the receiver for a stream, encrypted with k unless that is nil. Errors: one that
// wraps net.ErrClosed, ErrActive, wire.ErrKeys.
func (r *Receiver) Begin(k *wire.SRTP) error {
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
	r.stats = Stats{Unasked: r.stats.Unasked, Grant: r.stats.Grant + 1}
	return nil
}

// End says BYE to the sender and closes its record. What comes later is counted as unasked.
// The numbers stay readable until the next Begin.
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

// Captured says what arrives: RTP packets; frames that a decoder can show. An error wraps
// net.ErrClosed, or says why the stream is not recorded.
func (r *Receiver) Captured() (packets, frames bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, false, errClosed
	}
	if r.recordError != nil {
		return false, false, r.recordError
	}
	if r.sender == nil {
		return false, false, nil
	}
	now := r.elapsed()
	packets = r.sender.sequence.started && now-r.sender.packetAt <= senderTimeout
	frames = r.sender.hasGoodFrame && now-r.sender.goodFrameAt <= senderTimeout
	return packets, frames, nil
}

// dropSender forgets the sender but keeps its numbers.
func (r *Receiver) dropSender() {
	if r.sender == nil {
		return
	}
	r.sender.assembler.Flush()
	r.sender.addStats(&r.stats)
	if r.sender.record != nil {
		if err := r.sender.record.closeFile(); err != nil {
			r.stopRecording(err)
		}
	}
	r.sender = nil
}

func (r *Receiver) stopRecording(err error) {
	r.recordError = err
	r.config.Log.Error("receiver: the stream is not recorded any more", "error", err)
}
