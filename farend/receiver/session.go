// A session: what was learned of one granted stream. What comes is taken in input.go, what goes
// back is sent in report.go. No socket: the Server reads and lends the one that reports leave by.

package receiver

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// clockRate is VP8's RTP clock, 1/s (RFC 7741 section 6.1).
const clockRate = 90000

const (
	// dueInterval is how often a session looks for what is due: reports, feedback, gaps.
	dueInterval = 20 * time.Millisecond

	// gapTimeout is when a missing packet is given up. It is requested after 20 ms and again
	// after 80, so that it heals over a round trip of 100 ms.
	gapTimeout = 200 * time.Millisecond
)

// A sessionConfig is what a session works with.
type sessionConfig struct {
	grant      stream.Grant
	now        func() time.Time
	random     func() float64 // from 0 to 1, 1 excluded
	log        *slog.Logger
	anyAddress bool
	send       func(b []byte, to netip.AddrPort) error // RTCP; does not block
}

// A session is one granted stream.
type session struct {
	sessionConfig
	cname  string
	ssrc   uint32 // ours
	origin time.Time

	// keyFrameAsked is set by whoever shows the stream, a Sink too, and so without mu.
	keyFrameAsked atomic.Bool

	// mu guards all below. RTCP is sent under it, since a UDP write does not block, rare events are
	// logged, and sinks are called, which must neither block nor call back.
	mu          sync.Mutex
	ended       bool
	srtp        *srtpContext
	latch       latch
	strangers   strangers
	sender      *sender
	sinks       []stream.Sink
	stats       stream.Stats // what sender still counts is added by statsNow
	second      second       // the last whole one
	replyTo     netip.AddrPort
	rtcpScratch []uint16

	earlyReports []earlyReport
	keyFrameTill time.Duration // who asked for a key frame waits until then

	reportDueAt time.Duration
	rateAt      time.Duration // when rateBytes was counted
	rateBytes   uint64
	rate        float64 // bit/s, measured between reports
}

func newSession(c sessionConfig) (*session, error) {
	srtp, err := newSRTPContext(c.grant.SRTP)
	if err != nil {
		return nil, err
	}
	r := &session{sessionConfig: c, srtp: srtp, ssrc: rand.Uint32(), origin: c.now()}
	r.cname = fmt.Sprintf("%08x@receiver", rand.Uint32()) // RFC 7022: nothing about the machine
	r.log = c.log.With("stream", c.grant.ID)
	r.latch.announced = c.grant.SSRC
	r.stats.Begun = r.origin
	r.noteAsker(c.grant.Asker)
	return r, nil
}

// elapsed is the time since the session was made, by a clock that nobody sets.
func (r *session) elapsed(now time.Time) time.Duration { return now.Sub(r.origin) }

// noteAsker notes from where the source asks the gateway.
func (r *session) noteAsker(asker netip.Addr) {
	if !r.anyAddress && asker.IsValid() {
		r.latch.asker = plain(asker)
	}
}

// plain is an address as packets bear it that came by either family of a socket.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// end says BYE to the sender, and nothing is taken any more. It gives the sinks, which are to be closed.
func (r *session) end(because string) []stream.Sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	now := r.now()
	r.sendBye(now)
	r.dropSender()
	r.ended = true
	r.log.Info("receiver: the stream ends", "because", because)
	sinks := r.sinks
	r.sinks = nil
	return sinks
}

// attach adds a sink; false: the stream is over.
func (r *session) attach(sink stream.Sink) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.sinks = append(r.sinks, sink)
	return true
}

// detach removes a sink. Once it returns, no method of the sink is called any more, nor is Close.
func (r *session) detach(sink stream.Sink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sinks = slices.DeleteFunc(r.sinks, func(s stream.Sink) bool { return s == sink })
}

// receptionTimeout is how long a source that was granted may be silent.
const receptionTimeout = 10 * time.Second

// Codes of a Verdict: 0 is the protocol's, the rest are ours to choose.
const (
	captured        = 0
	capturedNothing = 1
	capturedNoFrame = 2
	capturedDamaged = 3
)

// captured says what arrives. An error wraps os.ErrDeadlineExceeded if nothing came for 10 s or the
// source said BYE.
func (r *session) captured(asker netip.Addr) (stream.Verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return stream.Verdict{}, stream.ErrUnknown
	}
	r.noteAsker(asker)
	now := r.elapsed(r.now())
	switch state := r.state(now); state {
	case stream.StateStreaming:
		if _, problem := r.reports(); problem != "" {
			return stream.Verdict{Code: captured, Words: "stream captured, but " + problem}, nil
		}
		return stream.Verdict{Code: captured, Words: "stream captured"}, nil
	case stream.StateNoKeyFrame:
		return stream.Verdict{Code: capturedNoFrame, Words: "packets arrive, but no key frame yet"}, nil
	case stream.StateDamaged:
		return stream.Verdict{
			Code: capturedDamaged, Words: "packets arrive, but no picture of them can be shown",
		}, nil
	default:
		if now-r.lastHeard() > receptionTimeout || r.latch.hasSaidBye(now) {
			return stream.Verdict{}, fmt.Errorf("receiver: %s: %w", state, os.ErrDeadlineExceeded)
		}
	}
	if r.strangers.present {
		return stream.Verdict{Code: capturedNothing, Words: "somebody else sends here, the source does not"}, nil
	}
	return stream.Verdict{Code: capturedNothing, Words: "nothing arrives yet"}, nil
}

// lastHeard is when the source was heard last, or when it was granted.
func (r *session) lastHeard() time.Duration {
	if r.sender == nil {
		return 0
	}
	return r.sender.packetAt
}

// dropSender forgets the sender but keeps its numbers.
func (r *session) dropSender() {
	if r.sender == nil {
		return
	}
	r.sender.assembler.Flush()
	r.sender.addStats(&r.stats)
	r.sender = nil
}
