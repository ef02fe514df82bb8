// Package session keeps the RTP session of one sender and one receiver: when the next RTCP report
// is due and what it says of time, how long round trips take, whether the receiver is still there,
// and whether the stream does harm and must pause.
//
// It stands between the frames and packets that the Sender counts and the RTCP that it exchanges.
// It is pure: times (CLOCK_MONOTONIC) are passed in, the caller's lock guards it, and it logs
// nothing: what is worth a line is returned. RTP time is 1/90000 s, loss a fraction from 0 to 1.
//
// Sources: RFC 3550 sections 4, 5.1 and 6 (time, reports, intervals), RFC 8083 (circuit breaker).
package session

import (
	"math/rand/v2"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

// A Config says what the session depends on.
type Config struct {
	Bandwidth  int            // bit/s, of which RTCP takes at most 5 %
	HeaderSize int            // of IP and UDP, in bytes
	Timestamp  uint32         // RTP time of the first frame
	Random     func() float64 // in [0, 1); nil: random
}

// A Session is one stream's.
type Session struct {
	members  membership
	clock    rtpClock
	schedule schedule
	reports  sentReports
	breaker  breaker
	doubt    doubt

	headerSize  int
	rtt         time.Duration
	withholding bool      // frames, because the circuit is broken
	counted     [2]uint64 // packets sent by the last report and by the one before
}

// New makes the session before its first frame.
func New(cfg Config) Session {
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	return Session{
		members:    membership{bandwidth: cfg.Bandwidth, members: 1, senders: 1, weSent: true},
		clock:      rtpClock{first: cfg.Timestamp},
		schedule:   schedule{random: cfg.Random},
		headerSize: cfg.HeaderSize,
	}
}

// A Frame is what a frame begins with.
type Frame struct {
	Timestamp uint32        // RTP time
	First     bool          // of the stream
	Withheld  bool          // it must not be sent: the circuit is broken
	Resumed   bool          // it is the first one after such a pause: a decoder lacks what it refers to
	Fault     Fault         // that has just broken the circuit; NoFault: none has
	Pause     time.Duration // for how long, if so
}

// BeginFrame starts a frame that was captured at captured.
func (s *Session) BeginFrame(now, captured time.Duration) (f Frame) {
	flows, fault := s.breaker.checkFlow(now)
	f.Fault, f.Pause = fault, s.breaker.pause
	if !flows {
		s.withholding = true
		f.Withheld = true
		return f
	}
	f.Resumed, s.withholding = s.withholding, false
	f.First = !s.clock.started
	s.clock.startAt(captured)
	f.Timestamp = s.clock.timestamp(captured)
	return f
}

// IsStarted says that there was a frame.
func (s *Session) IsStarted() bool { return s.clock.started }

// IsFlowing says that there was a frame and that the circuit is not broken.
func (s *Session) IsFlowing() bool { return s.clock.started && s.breaker.fault == NoFault }

// NoteHeard takes an RTCP packet of size bytes: the receiver is there.
func (s *Session) NoteHeard(now time.Duration, size int) {
	s.members.members = 2 // we and the receiver
	s.breaker.noteHeard(now)
	s.doubt.noteHeard(now)
	s.noteSize(size)
}

// NoteGoodbye takes the receiver's BYE.
func (s *Session) NoteGoodbye() { s.members.members = 1 }

// NoteReport takes a reception report about the stream, of which packets and octets have left. It
// returns the fault that this shows, and for how long the stream pauses then.
func (s *Session) NoteReport(
	now time.Duration, r *feedback.Report, packets, octets uint64,
) (found Fault, pause time.Duration) {
	s.doubt.owesReports = true
	found = s.breaker.noteReport(now, r.HighestSequence, r.Loss, s.rtt, packets, octets)
	if r.LastSR != 0 { // else none has reached the receiver yet
		if rtt, ok := s.reports.roundTrip(now, r.LastSR, r.Delay); ok {
			s.rtt = rtt
		}
	}
	return found, s.breaker.pause
}

// RoundTrip is the latest one; 0: not known.
func (s *Session) RoundTrip() time.Duration { return s.rtt }

// Silence is how long nothing has come from the receiver; since the clock began, if nothing
// ever has.
func (s *Session) Silence(now time.Duration) time.Duration { return now - s.doubt.heardAt }

// NoteRefusal takes an ICMP message of the receiver's host: nobody listens.
func (s *Session) NoteRefusal(now time.Duration) { s.doubt.noteRefusal(now) }

// RaiseDoubt says, at most once in 5 s, that the receiver may be gone: the gateway or the name
// server may know better.
func (s *Session) RaiseDoubt(now time.Duration) bool { return s.doubt.raiseDoubt(now) }

// StartReports takes the first report, which leaves with the first frame.
func (s *Session) StartReports(now time.Duration) { s.schedule.startFrom(now, s.members.interval()) }

// ReportWait is the time until TakeReport should be asked again.
func (s *Session) ReportWait(now time.Duration) time.Duration { return max(s.schedule.next-now, 0) }

// TakeReport says whether a report is due, and takes it.
func (s *Session) TakeReport(now time.Duration) bool {
	return s.schedule.takeDue(now, s.members.interval())
}

// A SenderTime is what an SR says of time.
type SenderTime struct {
	NTP uint64
	RTP uint32
}

// BeginReport gives what the next report says; packets have left so far. Not ok: it is an empty
// RR, because no packet left since the report before the last (section 6.4). The SR pairs the wall
// clock with the capture clock of one moment, not with the time of the latest picture: the pair is
// true even if the wall clock was set in between.
func (s *Session) BeginReport(now time.Duration, wall time.Time, packets uint64) (t SenderTime, ok bool) {
	m := &s.members
	m.weSent = packets > s.counted[1]
	m.senders = 0
	s.counted[1], s.counted[0] = s.counted[0], packets
	if !m.weSent {
		return SenderTime{}, false
	}
	m.senders = 1
	ntp := NTP(wall)
	s.reports.addReport(ntp, now)
	return SenderTime{NTP: ntp, RTP: s.clock.timestamp(now)}, true
}

// NoteReportSent takes a report of size bytes that left.
func (s *Session) NoteReportSent(size int) { s.noteSize(size) }

// noteSize updates the mean size of RTCP packets, sent and received, by section 6.3.3;
// section 6.2 counts IP and UDP headers in.
func (s *Session) noteSize(size int) { s.members.noteSize(float64(size + s.headerSize)) }
