// What the receiver's RTCP changes. The values come from feedback; nothing is parsed here.
// All functions expect mu to be held.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
)

// lastFIR is the latest FIR: a repeat has the number of the one it repeats.
type lastFIR struct {
	any    bool
	sender uint32
	number uint8
}

// A reference is the last reference time of a receiver, which the next report echoes.
type reference struct {
	any    bool
	sender uint32
	time   uint32 // the middle of its NTP time
	at     time.Duration
}

// reactTo acts on one message; not ok: it is not what its type says.
func (s *Sender) reactTo(m *feedback.Message, ok bool, now time.Duration, log *pendingLog) {
	ignored := &s.stats.Ignored
	switch {
	case m.Kind == feedback.Other:
		ignored.OtherType++
	case m.Kind == feedback.Transport && s.cfg.TransportID == 0: // nothing of ours bears such a number
		ignored.OtherType++
	case !ok:
		ignored.Malformed++
	case m.Kind == feedback.Reports:
		for i := range m.Reports {
			s.reactToReport(&m.Reports[i], now, log)
		}
	case m.Kind == feedback.IntraRequest:
		for _, e := range m.Intra {
			s.reactToIntraRequest(m.Sender, e)
		}
	case m.Kind == feedback.MaxBitrate:
		s.reactToBitrate(m.Bitrate, now)
	case m.Kind == feedback.Goodbye:
		s.stats.BYEs++
		s.session.NoteGoodbye()
	case m.Kind == feedback.ReferenceTime:
		s.inbox.reference = reference{sender: m.Sender, time: m.Reference, at: now, any: true}
	case m.Kind == feedback.Description: // who the receiver is changes nothing
	case m.Media != s.SSRC():
		ignored.OtherSSRC++
	case m.Kind == feedback.PictureLoss:
		s.stats.PLIs++
		s.keyFrames.requestByReceiver()
	case m.Kind == feedback.Nack:
		s.reactToNack(m.Missing, now)
	case m.Kind == feedback.Transport:
		s.stats.TransportFeedback++
		if !s.departures.NoteArrivals(now, &m.Arrived) {
			ignored.Malformed++
		}
	}
}

// reactToReport keeps the figures about our stream.
func (s *Sender) reactToReport(r *feedback.Report, now time.Duration, log *pendingLog) {
	if r.SSRC != s.SSRC() {
		s.stats.Ignored.OtherSSRC++
		return
	}
	s.stats.Reports++
	s.stats.Loss, s.stats.Lost = r.Loss, r.Lost
	s.stats.Jitter = session.FromTicks(r.Jitter)
	s.stats.HighestSequence = r.HighestSequence
	s.departures.NoteReport(now, uint16(r.HighestSequence), r.Loss)
	found, pause := s.session.NoteReport(now, r, s.stats.Packets, s.stats.Octets)
	s.noteFault(found, pause, log)
	s.stats.RTT = s.session.RoundTrip()
}

// reactToIntraRequest asks for a key frame, once for each number.
func (s *Sender) reactToIntraRequest(sender uint32, e feedback.FullIntra) {
	fir := lastFIR{any: true, sender: sender, number: e.Number}
	switch {
	case e.Media != s.SSRC():
		s.stats.Ignored.OtherSSRC++
	case s.inbox.fir == fir:
		s.stats.FIRRepeats++
	default:
		s.inbox.fir = fir
		s.stats.FIRs++
		s.keyFrames.requestByReceiver()
	}
}

// reactToBitrate passes an estimate on to the path.
func (s *Sender) reactToBitrate(b feedback.Bitrate, now time.Duration) {
	if !b.IsAbout(s.SSRC()) {
		s.stats.Ignored.OtherSSRC++
		return
	}
	s.stats.Estimates++
	s.departures.NoteEstimate(now, b.Most)
}

// reactToNack notes the packets that the receiver misses.
func (s *Sender) reactToNack(missing feedback.Sequences, now time.Duration) {
	s.stats.NACKs++
	for sequence := range missing.All() {
		s.request(sequence, now)
	}
	s.wakePump()
}

// request leaves a packet that the receiver misses to pump.
func (s *Sender) request(sequence uint16, now time.Duration) {
	counts := &s.stats.Resends
	counts.Asked++
	roundTrip := s.session.RoundTrip()
	if age, ok := s.departures.NoteRequest(now, roundTrip, sequence); ok {
		s.keyFrames.noteLateRequest(now, age, roundTrip)
	}
	switch {
	case !s.session.IsFlowing():
		counts.Gone++
	case !s.inbox.requests.Add(sequence):
		counts.Limited++
	}
}
