// The Sender: what it is made of, its locks, and a frame's way through it.
//
// Locks, in the order in which they may be taken:
//
//	sending     packets are made and sent. The RTP socket is written, renewed and asked for its
//	            MTU under it, because BYE must come after the last packet; Close interrupts a
//	            write that waits. An echo request leaves under it, too, and never waits.
//	reporting   an RTCP packet is made and sent, for the same reason: nothing follows BYE. Its
//	            socket gives up a write that waits after 50 ms.
//	mu          counters and all that RTCP changes.
//	departures  has its own, under which it calls the Path, which must not call back.
//
// Under these locks nothing is logged (see log.go). What else is called under them is pure: the
// packages of this folder besides udp, SRTP, and the clocks of the Config.
//
// Spec: RFC 3550 section 5.1.

package rtpsend

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/admission"
	"github.com/krazycam/krazycam/firmware/rtpsend/departures"
	"github.com/krazycam/krazycam/firmware/rtpsend/pacing"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// A Sender is one stream to one receiver. Send belongs to one goroutine; all other
// methods may be called from any.
type Sender struct {
	cfg     Config
	reports udp.RTCPConn
	echo    *udp.Echo // nil: no host is asked; belongs to exchangeEchoes from the first frame on

	closed  atomic.Bool
	outage  atomic.Int32   // see Outage
	refused atomic.Bool    // the RTCP socket met a refusal that account does not know yet
	done    chan struct{}  // closed by Close
	running sync.WaitGroup // exchangeRTCP, exchangeEchoes and runPump
	awake   chan struct{}  // wakes runPump

	sending  sync.Mutex // guards the next five
	queue    packetQueue
	pacer    pacing.Pacer
	ceiling  ceiling
	resender *resend.Resender
	wire     wire

	reporting sync.Mutex

	mu        sync.Mutex // guards the next five
	stats     Stats
	session   session.Session
	keyFrames keyFrames
	inbox     inbox
	stuck     bool // nothing arrives at the receiver: smaller packets may

	departures *departures.Record
}

func newSender(cfg Config, conn rtpConn, reports udp.RTCPConn) *Sender {
	s := &Sender{
		cfg: cfg, reports: reports, done: make(chan struct{}), awake: make(chan struct{}, 1),
		queue:   newPacketQueue(&cfg),
		pacer:   pacing.NewPacer(cfg.Bandwidth, cfg.Unpaced),
		ceiling: newCeiling(cfg.Ceiling),
		wire:    wire{conn: conn, headerSize: udp.HeaderSize(cfg.RTP.Addr())},
		session: session.New(session.Config{
			Bandwidth: cfg.Bandwidth, HeaderSize: udp.HeaderSize(cfg.RTCP.Addr()), Timestamp: cfg.First.Timestamp,
		}),
		inbox:      inbox{gate: admission.NewGate(cfg.First.SSRC)},
		departures: departures.NewRecord(cfg.Path),
	}
	s.resender = resend.New(s.queue.history, s.departures, resend.Config{
		Bandwidth: cfg.Bandwidth, Verbatim: cfg.srtp != nil && !cfg.RTX,
		RTX: cfg.RTX, RTXSSRC: cfg.First.RTXSSRC, RTXSequence: cfg.First.RTXSequence,
	})
	var log pendingLog
	s.fitPath(0, &log)
	s.queue.checkedAt = cfg.Monotonic()
	if conn != nil {
		s.fitPath(conn.MTU(), &log)
	}
	log.writeTo(cfg.Log)
	return s
}

// SSRC names the stream in RTP and RTCP.
func (s *Sender) SSRC() uint32 { return s.cfg.First.SSRC }

// LocalRTCPPort is the port that a receiver may send RTCP to and gets it from.
func (s *Sender) LocalRTCPPort() int { return s.reports.LocalPort() }

// Send sends one frame that was captured at CLOCK_MONOTONIC time at; key says that it
// is a key frame. The bytes are the caller's again when it returns; an empty frame is
// one that the encoder dropped and sends nothing. What of a large frame must not leave
// at once is copied and leaves later, within one frame interval. It blocks while the
// kernel's queue is full. Packets that the network refuses are counted in Stats and
// are no error: the only error is ErrClosed.
func (s *Sender) Send(frame []byte, key bool, at time.Duration) error {
	if len(frame) == 0 {
		return nil
	}
	var sent tally
	err := s.sendFrame(frame, key, at, &sent)
	sent.log.writeTo(s.cfg.Log)
	if err != nil {
		return fmt.Errorf("rtpsend: send a frame: %w", err)
	}
	return nil
}

func (s *Sender) sendFrame(frame []byte, key bool, at time.Duration, sent *tally) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closed.Load() {
		return ErrClosed
	}
	now := s.cfg.Monotonic()
	sent.at = now
	s.checkMTU(now, &sent.log)
	f := s.beginFrame(now, at, key, &sent.log)
	if f.Withheld {
		return nil
	}
	s.checkSize(now, &sent.log)
	doubled := key && s.departures.LosesByChance(now, false)
	onWire, err := s.queueFrame(frame, f.Timestamp, s.captureTime(now, at), doubled, sent)
	if err == nil {
		s.ceiling.noteFrame(onWire, key)
		s.pacer.BeginFrame(now, at, s.queue.history.WaitingBytes())
		var wait time.Duration
		if wait, err = s.sendQueued(now, sent); wait > 0 || doubled {
			s.wakePump()
		}
	}
	s.account(now, sent)
	if err == nil && f.First {
		s.startReports(&sent.log)
	}
	return err
}

// beginFrame counts the frame.
func (s *Sender) beginFrame(now, at time.Duration, key bool, log *pendingLog) session.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyFrames.noteFrame(at, key)
	f := s.session.BeginFrame(now, at)
	s.noteFault(f.Fault, f.Pause, log)
	if f.Withheld {
		s.stats.Withheld++
		return f
	}
	if f.Resumed {
		s.keyFrames.request()
		log.addLine(slog.LevelInfo, "the stream goes on", "to", s.cfg.RTP)
	}
	s.stats.Frames++
	if key {
		s.keyFrames.noteSent(now)
	}
	return f
}

// noteFault counts a break of the circuit. mu is held.
func (s *Sender) noteFault(found session.Fault, pause time.Duration, log *pendingLog) {
	if found == session.NoFault {
		return
	}
	s.stats.Breaks++
	s.stuck = s.stuck || found == session.Stuck
	log.addLine(slog.LevelWarn, "the stream pauses", "because", found, "for", pause, "to", s.cfg.RTP)
}

// SetRate paces packets, and bounds resends, for a stream of bandwidth bit/s from now
// on. It may wait as Send does.
func (s *Sender) SetRate(bandwidth int) {
	s.sending.Lock()
	defer s.sending.Unlock()
	now := s.cfg.Monotonic()
	s.pacer.SetBandwidth(now, bandwidth)
	s.resender.SetBandwidth(now, bandwidth)
}

// lastRoom is how long the packets that wait may take at the end, on a link that has
// stalled: longer than an interval of them, shorter than anybody waits for us.
const lastRoom = 50 * time.Millisecond

// Close sends what waits, within the Config's Ceiling, says BYE if a frame was sent, frees both sockets and waits
// for the goroutines. It interrupts Send. A second Close does nothing.
func (s *Sender) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	closeWire := sync.OnceValue(s.wire.conn.Close)
	// Or a Send that waits for room would hold the lock.
	late := time.AfterFunc(lastRoom, func() { _ = closeWire() })
	err := s.sendLast()
	late.Stop()
	err = errors.Join(err, closeWire(), s.reports.Close())
	if s.echo != nil {
		err = errors.Join(err, s.echo.Close())
	}
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("rtpsend: close: %w", err)
	}
	return nil
}

// sendLast sends what is left to say. Nothing is sent after it, because closed is set.
func (s *Sender) sendLast() error {
	var sent tally
	defer func() { sent.log.writeTo(s.cfg.Log) }()
	s.sending.Lock()
	defer s.sending.Unlock()
	sent.at = s.cfg.Monotonic()
	var err error
	for b := s.queue.history.PeekNext(); b != nil && err == nil; b = s.queue.history.PeekNext() {
		if s.ceiling.Wait(sent.at, s.sizeOnWire(len(b))) > 0 {
			break // nobody waits for us, and the owner's rate holds to the end
		}
		err = s.sendNext(&sent)
	}
	s.account(s.cfg.Monotonic(), &sent)
	s.mu.Lock()
	started := s.session.IsStarted()
	s.mu.Unlock()
	if started { // a sender that never sent anything must not say BYE (RFC 3550 section 6.3.7)
		s.sayBye(&sent.log)
	}
	close(s.done)
	if errors.Is(err, ErrClosed) { // the link has stalled, and we were not to wait
		return nil
	}
	return err
}
