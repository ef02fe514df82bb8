// The Sender: a frame becomes packets on the wire, without allocation.
// Spec: RFC 3550 section 5.1. What RTCP does is in report.go and feedback.go.

package rtpsend

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/departures"
	"github.com/krazycam/krazycam/firmware/rtpsend/pacing"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// An rtpConn takes RTP packets; *udp.RTPConn is one. Renew is called at most once a second
// while packets do not leave for want of a route.
type rtpConn interface {
	Write(packet []byte) (int, error)
	MTU() int // bytes of an IP packet on the path, as far as the kernel knows; 0: not known
	Renew() error
	Close() error
}

// A Sender is one stream to one receiver. Send belongs to one goroutine; all other
// methods may be called from any.
type Sender struct {
	cfg     Config
	media   rtpConn
	reports udp.RTCPConn
	echo    *udp.Echo // nil: nobody is asked; set before the first frame, then owned by exchangeEchoes

	closed  atomic.Bool
	done    chan struct{}  // closed by Close
	running sync.WaitGroup // the goroutine of run

	awake chan struct{} // there is something to send again, or a packet waits for its time

	sending    sync.Mutex // held while packets are made or sent, so that BYE comes after the last
	packetizer *rtpvp8.Packetizer
	payload    int // the most bytes of payload that fit the path, VP8 descriptor included
	history    *resend.History
	pacer      pacing.Pacer
	resender   *resend.Resender
	departures *departures.Record // has a lock of its own
	below      int                // bytes of IP and UDP headers below a packet
	outage     bool               // packets do not leave, or did not a moment ago
	failed     time.Duration      // when a frame last met a send error
	renewed    time.Duration      // when the socket was last asked to renew itself

	reporting sync.Mutex // held while an RTCP packet is made and sent: nothing follows BYE

	mu        sync.Mutex // guards what follows
	stats     Stats
	session   session.Session
	keyFrames keyFrames
	quota     quota
	fir       lastFIR
	requests  resend.Requests

	in [maxReport + 1]byte // owned by run
}

func newSender(cfg Config, media rtpConn, reports udp.RTCPConn) *Sender {
	s := &Sender{
		cfg: cfg, media: media, reports: reports, done: make(chan struct{}), awake: make(chan struct{}, 1),
		packetizer: rtpvp8.NewPacketizer(rtpvp8.MaxPayload, cfg.First.PictureID),
		history:    resend.NewHistory(cfg.First.Sequence),
		pacer:      pacing.NewPacer(cfg.Bandwidth, cfg.Unpaced),
		session: session.New(session.Config{
			Bandwidth: cfg.Bandwidth, HeaderSize: udp.HeaderSize(cfg.RTCP.Addr()), Timestamp: cfg.First.Timestamp,
		}),
	}
	s.departures = departures.NewRecord(cfg.Path)
	s.resender = resend.New(s.history, s.departures, resend.Config{
		Bandwidth: cfg.Bandwidth, Verbatim: cfg.cloak != nil && !cfg.RTX,
		RTX: cfg.RTX, RTXSSRC: cfg.First.RTXSSRC, RTXSequence: cfg.First.RTXSequence,
	})
	s.below = udp.HeaderSize(cfg.RTP.Addr())
	s.fit(udp.EthernetMTU)
	if media != nil {
		s.fit(media.MTU())
	}
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
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closed.Load() {
		return fmt.Errorf("rtpsend: send a frame: %w", ErrClosed)
	}
	now := s.cfg.Monotonic()
	f := s.beginFrame(now, at, key)
	if f.Withheld {
		return nil
	}
	sent := tally{at: now}
	doubled := key && s.departures.LosesByChance(now, false)
	err := s.queueFrame(frame, f.Timestamp, s.captured(now, at), doubled, &sent)
	if err == nil {
		s.pacer.BeginFrame(now, at, s.history.WaitingBytes())
		var wait time.Duration
		if wait, err = s.sendQueued(now, &sent); wait > 0 || doubled {
			s.wakePump()
		}
	}
	s.account(now, &sent)
	if err != nil {
		return fmt.Errorf("rtpsend: send a frame: %w", err)
	}
	if f.First {
		s.startReports()
	}
	return nil
}

// beginFrame counts the frame.
func (s *Sender) beginFrame(now, at time.Duration, key bool) session.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyFrames.noteFrame(at, key)
	f := s.session.BeginFrame(now, at)
	s.logFault(f.Fault, f.Pause)
	if f.Withheld {
		s.stats.Withheld++
		return f
	}
	if f.Resumed {
		s.keyFrames.request()
		s.cfg.Log.Info("the stream goes on", "to", s.cfg.RTP)
	}
	s.stats.Frames++
	if key {
		s.keyFrames.noteSent(now)
	}
	return f
}

// logFault logs and counts a break of the circuit. mu is held.
func (s *Sender) logFault(found session.Fault, pause time.Duration) {
	if found == session.NoFault {
		return
	}
	s.stats.Breaks++
	s.cfg.Log.Warn("the stream pauses", "because", found, "for", pause, "to", s.cfg.RTP)
}

// KeyFrameWanted says whether the next frame should be a key frame, and takes the request:
// see keyframes.go. Call it once for each frame.
func (s *Sender) KeyFrameWanted() bool {
	now := s.cfg.Monotonic()
	lossy := !s.cfg.Unpaced && s.departures.LosesByChance(now, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyFrames.grant(now, receiverView{
		rtt: s.session.RoundTrip(), silence: s.session.Silence(now), lossy: lossy, file: s.cfg.Unpaced,
	})
}

// ForceKeyFrame makes the next frame a key frame, however short ago the last one was.
func (s *Sender) ForceKeyFrame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyFrames.force()
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
