// A sink is one stream on its way to one far receiver.

package forward

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/forward/packet"
	"github.com/krazycam/krazycam/farend/stream"
)

// A link is a way to the far receiver that is open. Its methods do not block.
type link interface {
	send(packet []byte) error   // RTP
	report(packet []byte) error // RTCP
	close()
}

// A sink's fields below mu are guarded by it. It is held while a datagram is written: two goroutines
// send, that of the receiver and the one that answers requests.
type sink struct {
	forwarder        *Forwarder
	rule             *Rule
	grant            stream.Grant
	customer, source string
	cname            string
	ctx              context.Context // over when the sink is closed
	cancel           context.CancelFunc
	failed           chan struct{} // has a place: the link did not take a packet

	mu       sync.Mutex
	link     link // nil: there is none now
	closed   bool
	identity packet.Identity
	recent   *packet.Ring // nil: the link resends by itself
	scratch  []byte
	clock    packet.ClockPoint
	reportAt time.Time // of the last SR on this link; zero: none
	heardAt  time.Time // the last RTCP; zero: none
	servedAt time.Time // the last key frame for a receiver that says nothing
	counts   State
	err      error // why it is not sent on; nil: it is
	lasting  error // what is wrong as long as the link is there; nil: nothing
}

var (
	_ stream.Sink     = (*sink)(nil)
	_ stream.Reporter = (*sink)(nil)
)

func newSink(f *Forwarder, r *Rule, g stream.Grant, customer, source string) *sink {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sink{
		forwarder: f, rule: r, grant: g, customer: customer, source: source, cname: packet.NewCNAME(),
		ctx: ctx, cancel: cancel, failed: make(chan struct{}, 1), identity: packet.NewIdentity(),
		counts: State{
			Stream: g.ID, Customer: g.Customer, Source: g.Source, Kind: r.to(), State: StateConnecting,
			Since: f.config.Now(),
		},
	}
	if r.to() != ToWHIP {
		s.recent = packet.NewRing()
	}
	return s
}

// TakePacket sends a packet on.
func (s *sink) TakePacket(b []byte, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.link == nil {
		s.counts.Dropped++
		return
	}
	p, ok := s.identity.Take(b, at)
	if !ok {
		s.counts.Dropped++
		return
	}
	b = s.write(p)
	err := s.link.send(b)
	if err != nil { // it may be about the packet before, of which the kernel heard only now
		s.fail(err)
		if err != errBufferFull {
			err = s.link.send(b)
		}
	}
	if err != nil {
		s.counts.Dropped++
		return
	}
	s.counts.Packets++
	s.counts.Bytes += uint64(len(b))
	s.counts.payload += uint64(len(p.Payload))
	if s.reportAt.IsZero() || at.Sub(s.reportAt) >= packet.ReportInterval {
		s.sendReport(at, false)
	}
}

// write makes the packet that is sent on, in memory that is kept for it.
func (s *sink) write(p packet.Part) []byte {
	if s.recent == nil {
		s.scratch = s.identity.Append(s.scratch[:0], p)
		return s.scratch
	}
	b := s.identity.Append(s.recent.Reserve(p.Sequence), p)
	s.recent.Keep(p.Sequence, b)
	return b
}

// fail notes that the link did not take a packet, and wakes whoever looks after it.
func (s *sink) fail(err error) {
	s.counts.SendErrors++
	s.err = err
	select {
	case s.failed <- struct{}{}:
	default:
	}
}

// TakeFrame keeps when the frame was captured, for sender reports.
func (s *sink) TakeFrame(f stream.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp, ok := s.identity.StampOf(f.Timestamp)
	if !ok {
		return // it is of the source before
	}
	s.clock = packet.ClockPoint{Stamp: stamp, At: f.CapturedAt}
	if f.CapturedAt.IsZero() {
		s.clock.At = f.At
	}
}

// Restart lets the next packet follow the last one, whatever its numbers are.
func (s *sink) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity.Restart()
	s.clock = packet.ClockPoint{}
}

// Close says goodbye and leaves the rest to the sink's goroutine.
func (s *sink) Close() {
	s.mu.Lock()
	if !s.closed && s.link != nil && !s.reportAt.IsZero() {
		s.sendReport(s.forwarder.config.Now(), true)
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
}

// sendReport sends an SR. The lock is held.
func (s *sink) sendReport(now time.Time, bye bool) {
	p := s.clock
	if p.At.IsZero() {
		p = s.identity.Newest()
	}
	s.scratch = packet.AppendReport(s.scratch[:0], s.identity.SSRC, s.cname, packet.SenderReport{
		Now: now, Stamp: p.StampAt(now), Bye: bye,
		Packets: uint32(s.counts.Packets), Bytes: uint32(s.counts.payload),
	})
	s.reportAt = now
	if err := s.link.report(s.scratch); err != nil {
		s.err = err
	}
}

// connect begins to send by a link: with a sender report, and a key frame as soon as there is one.
func (s *sink) connect(l link, target string) {
	s.disconnect()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.link, s.err, s.lasting, s.reportAt = l, nil, nil, time.Time{}
		s.counts.Target, s.counts.ConnectedAt = target, s.forwarder.config.Now()
		s.counts.Connections++
	}
	s.mu.Unlock()
	if closed {
		l.close()
		return
	}
	s.requestKeyFrame()
}

// disconnect closes the link if there is one, and waits for its goroutine.
func (s *sink) disconnect() {
	s.mu.Lock()
	l := s.link
	s.link = nil
	s.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// log names the forwarding. What a source or customer is called comes from outside, as attributes.
func (s *sink) log() *slog.Logger {
	return s.forwarder.config.Log.With("stream", s.grant.ID, "source", s.grant.Source, "kind", s.counts.Kind)
}

// problem notes what went wrong, and logs it when it is news.
func (s *sink) problem(what string, err error) {
	if s.ctx.Err() == nil && s.fault(fmt.Errorf("%s: %w", what, err)) {
		s.log().Error("forward: "+what, "error", err)
	}
}

// blemish notes what is wrong with a link that is there.
func (s *sink) blemish(what string, err error) {
	s.problem(what, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasting = s.err
}

// logOutage says that a far receiver does not take packets, or takes them again.
func (s *sink) logOutage(begins bool) {
	if !begins {
		s.log().Info("forward: packets are taken again")
		return
	}
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	s.log().Warn("forward: packets are not taken", "error", err)
}

// fault notes why there is no link. It is true if that is news, which belongs into the log.
func (s *sink) fault(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.err == nil || s.err.Error() != err.Error()
	s.err = err
	return news
}

// settle clears the error of a link that took all packets since there were so many errors, and gives
// their number now.
func (s *sink) settle(errors uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil && s.counts.SendErrors == errors {
		s.err = s.lasting
	}
	return s.counts.SendErrors
}

// requestKeyFrame asks the source.
func (s *sink) requestKeyFrame() { s.forwarder.keyFrames.add(s.grant.ID) }
