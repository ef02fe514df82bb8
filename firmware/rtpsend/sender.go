// The Sender: a frame becomes packets on the wire, without allocation.
// Spec: RFC 3550 section 5.1. What RTCP does is in report.go and feedback.go.

package rtpsend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// rtpHeaderSize is an RTP header without contributing sources and extensions.
const rtpHeaderSize = 12

// A Sender is one stream to one receiver. Send belongs to one goroutine; all other
// methods may be called from any.
type Sender struct {
	cfg     Config
	media   mediaConn
	reports reportConn

	closed  atomic.Bool
	done    chan struct{}  // closed by Close
	running sync.WaitGroup // the goroutine of run

	sending    sync.Mutex // held for a frame, so that Close says BYE after the last packet
	packetizer *rtpvp8.Packetizer
	sequence   uint16
	packet     [rtpHeaderSize + rtpvp8.MaxPayload]byte
	outage     bool          // packets do not leave, or did not a moment ago
	failed     time.Duration // when a frame last met a send error
	renewed    time.Duration // when the socket was last asked to renew itself

	reporting sync.Mutex // held while an RTCP packet is made and sent: nothing follows BYE

	mu        sync.Mutex // guards what follows
	clock     rtpClock
	stats     Stats
	schedule  schedule
	session   session
	srs       sentReports
	counted   [2]uint64 // packets sent by the last report and by the one before
	keyFrames keyFrames
	quota     quota
	fir       firSeen

	in [maxReport + 1]byte // owned by run
}

func newSender(cfg Config, media mediaConn, reports reportConn) *Sender {
	return &Sender{
		cfg: cfg, media: media, reports: reports, done: make(chan struct{}),
		packetizer: rtpvp8.NewPacketizer(rtpvp8.MaxPayload, cfg.First.PictureID),
		sequence:   cfg.First.Sequence,
		clock:      rtpClock{first: cfg.First.Timestamp},
		schedule:   schedule{random: rand.Float64},
		session:    session{bandwidth: cfg.Bandwidth, members: 1, senders: 1, weSent: true},
	}
}

// SSRC names the stream in RTP and RTCP.
func (s *Sender) SSRC() uint32 { return s.cfg.First.SSRC }

// LocalRTCPPort is the port that a receiver may send RTCP to and gets it from.
func (s *Sender) LocalRTCPPort() int { return s.reports.LocalPort() }

// Send sends one frame that was captured at CLOCK_MONOTONIC time at; key says that it
// is a key frame. The bytes are the caller's again when it returns; an empty frame is
// one that the encoder dropped and sends nothing. It blocks while the kernel's queue
// is full. Packets that the network refuses are counted in Stats and are no error:
// the only error is ErrClosed.
func (s *Sender) Send(frame []byte, key bool, at time.Duration) error {
	if len(frame) == 0 {
		return nil
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closed.Load() {
		return fmt.Errorf("rtpsend: send a frame: %w", ErrClosed)
	}
	first, timestamp := s.begin(at)
	var sent tally
	s.packetizer.Start(frame)
	for last := false; !last; {
		var n int
		n, last = s.packetizer.Next(s.packet[rtpHeaderSize:])
		putHeader(s.packet[:], last, s.sequence, timestamp, s.cfg.First.SSRC)
		s.sequence++
		if err := s.write(s.packet[:rtpHeaderSize+n], &sent); err != nil {
			return fmt.Errorf("rtpsend: send a frame: %w", err)
		}
	}
	s.finish(key, &sent)
	if first {
		s.startReports()
	}
	return nil
}

// begin says what time the frame bears, and whether it is the first.
func (s *Sender) begin(at time.Duration) (first bool, timestamp uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = !s.clock.started
	s.clock.start(at)
	return first, s.clock.at(at)
}

// calm is how long frames must leave without an error before an outage is over: where
// nobody listens, each ICMP answer fails one frame and not the next, and hosts send
// about one a second (icmp(7), icmp_ratelimit).
const calm = 5 * time.Second

// finish adds a frame to the counters and logs where an outage begins and ends.
func (s *Sender) finish(key bool, sent *tally) {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	s.stats.Frames++
	s.stats.Packets += sent.packets
	s.stats.Octets += sent.octets
	s.stats.SendErrors.Refused += sent.errors.Refused
	s.stats.SendErrors.Unreachable += sent.errors.Unreachable
	s.stats.SendErrors.Other += sent.errors.Other
	if key {
		s.keyFrames.sent(now)
	}
	s.mu.Unlock()
	switch {
	case sent.last != nil:
		s.failed = now
		if !s.outage {
			s.cfg.Log.Warn("packets do not leave", "to", s.cfg.RTP, "err", sent.last)
		}
		s.outage = true
		s.renew(now, sent.last)
	case s.outage && now-s.failed >= calm:
		s.cfg.Log.Info("packets leave again", "to", s.cfg.RTP)
		s.outage = false
	}
}

// renew gives the socket a chance to leave an address that the board lost.
func (s *Sender) renew(now time.Duration, why error) {
	if !errors.Is(why, syscall.ENETUNREACH) || now-s.renewed < time.Second {
		return
	}
	s.renewed = now
	if err := s.media.Renew(); err != nil {
		s.cfg.Log.Debug("RTP socket not renewed", "err", err)
	}
}

// A tally is what became of the packets of one frame.
type tally struct {
	packets, octets uint64
	errors          SendErrors
	last            error // the latest send error
}

func (t *tally) fail(err error) {
	t.errors.count(err)
	t.last = err
}

// write sends one packet; its only error is ErrClosed. The kernel reports an ICMP port
// unreachable by failing the next write without sending it: that packet gets a second
// try, so that a receiver that has just started does not lose the first one it could
// have had.
func (s *Sender) write(packet []byte, sent *tally) error {
	_, err := s.media.Write(packet)
	if errors.Is(err, syscall.ECONNREFUSED) {
		sent.fail(err)
		_, err = s.media.Write(packet)
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case err != nil:
		sent.fail(err)
	default:
		sent.packets++
		sent.octets += uint64(len(packet) - rtpHeaderSize)
	}
	return nil
}

// putHeader writes an RTP header: version 2, no padding, extension or CSRC.
func putHeader(b []byte, marker bool, sequence uint16, timestamp, ssrc uint32) {
	_ = b[rtpHeaderSize-1]
	b[0], b[1] = 2<<6, PayloadType
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// KeyFrameWanted tells whether the next frame should be a key frame because the
// receiver asked for one, and takes the request. It says so at most once in 300 ms or
// a round trip, whichever is longer.
func (s *Sender) KeyFrameWanted() bool {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyFrames.take(now, s.stats.RTT)
}

// Close says BYE if a frame was sent, frees both sockets and waits for the goroutine.
// It interrupts Send. A second Close does nothing.
func (s *Sender) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.media.Close() // first, or a Send that waits for room would hold the lock
	s.sending.Lock()
	defer s.sending.Unlock()
	s.mu.Lock()
	started := s.clock.started
	s.mu.Unlock()
	if started { // who never sent anything must not say BYE (RFC 3550 section 6.3.7)
		s.sayBye()
	}
	close(s.done)
	err = errors.Join(err, s.reports.Close())
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("rtpsend: close: %w", err)
	}
	return nil
}
