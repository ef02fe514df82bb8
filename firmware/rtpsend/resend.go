// What the receiver misses is sent again: as it was, or as RTX where that is agreed.
// Bounded in packets, in bytes a second and in how often. Spec: RFC 4585, RFC 4588.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pacing"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

const (
	// resendShare is the part of the bandwidth that resends may take: with 20 % of
	// packets lost it is enough, and with more of them lost, more packets make it worse.
	resendShare = 0.25

	// maxWanted is how many packets can be asked for between two resends: a NACK of
	// one Ethernet frame could ask for 6,000.
	maxWanted = 256
)

// Resends are packets that the receiver asked for, and what became of them.
type Resends struct {
	Asked   uint64
	Sent    uint64
	Octets  uint64 // of RTP payload in those sent, without headers
	Gone    uint64 // older than the history, or never sent
	Early   uint64 // sent again so short a time ago that the answer is on its way, or late rather than lost
	Limited uint64 // above 25 % of the bandwidth, or too many at once; also such that nobody asked for
	Twice   uint64 // of those sent, the ones that nobody had asked for: see repeat.go
}

func (r *Resends) add(more Resends) {
	r.Asked += more.Asked
	r.Sent += more.Sent
	r.Octets += more.Octets
	r.Gone += more.Gone
	r.Early += more.Early
	r.Limited += more.Limited
	r.Twice += more.Twice
}

// resendRate is how many bytes a second may be sent again.
func resendRate(bandwidth int) float64 { return float64(bandwidth) / 8 * resendShare }

// newResendBucket lets a lost key frame pass at once, and then resendShare.
func newResendBucket(bandwidth int) pacing.Bucket {
	rate := resendRate(bandwidth)
	return pacing.NewBucket(rate, max(rate, 8*packet.MaxSize)) // a second's worth
}

// A wanted list holds sequence numbers between the goroutine that reads RTCP and the
// one that sends.
type wanted struct {
	list [maxWanted]uint16
	n    int
}

func (s *Sender) want(sequence uint16, now time.Duration) {
	s.stats.Resends.Asked++
	if age, ok := s.departures.lacks(now, sequence); ok {
		s.keyFrames.noteLateRequest(now, age, s.stats.RTT)
	}
	switch {
	case !s.clock.started || s.breaker.fault != none:
		s.stats.Resends.Gone++
	case s.wanted.n == maxWanted:
		s.stats.Resends.Limited++
	default:
		s.wanted.list[s.wanted.n] = sequence
		s.wanted.n++
	}
}

// resend sends again what was asked for; its only error is ErrClosed. sending is held.
func (s *Sender) resend(now time.Duration, sent *tally) error {
	s.mu.Lock()
	asked, rtt := s.wanted, s.stats.RTT
	s.wanted.n = 0
	s.mu.Unlock()
	for _, sequence := range asked.list[:asked.n] {
		packet, e := s.history.find(sequence)
		switch {
		case packet == nil:
			sent.resends.Gone++
			continue
		// A receiver that asks within a round trip has not yet seen what was sent. Half
		// of one, unless two are on their way: jitter is in the figure, and to be wrong costs
		// a packet, not a frame.
		case e.resent && now-e.resentAt < rtt/2, e.twice && e.resent && now-e.resentAt < rtt:
			sent.resends.Early++
			continue
		case s.departures.late(now, sequence):
			sent.resends.Early++
			continue
		case !s.resends.Take(now, len(packet)):
			sent.resends.Limited++
			continue
		}
		e.twice = !e.asked && s.departures.byChance(now, true) && s.repeats.add(now, sequence, true)
		e.asked, e.resent, e.resentAt = true, true, now
		if s.verbatim() {
			s.departures.answered(sequence)
		}
		if err := s.sendAgain(packet, sent); err != nil {
			return err
		}
	}
	return nil
}

// verbatim tells that packets leave again with their transport-wide number. Under SRTP the
// same index must authenticate the same bytes, or AES-GCM gives its key away, and encrypt the
// same bytes, so that this is no second use of the key stream. RTX has an index of its own.
func (s *Sender) verbatim() bool { return s.cfg.cloak != nil && !s.cfg.RTX }

// sendAgain sends one packet as it was, but for its transport-wide number unless verbatim.
func (s *Sender) sendAgain(b []byte, sent *tally) error {
	if s.cfg.RTX {
		b = packet.WrapRTX(s.rtxPacket[:], b, s.rtxSequence, s.cfg.First.RTXSSRC)
		s.rtxSequence++
	}
	if !s.verbatim() {
		s.number(b)
	}
	again := tally{at: sent.at, again: true, unnumbered: s.verbatim()}
	err := s.write(b, &again)
	sent.resends.Sent += again.packets
	sent.resends.Octets += again.octets
	sent.errors.Add(again.errors)
	if again.last != nil {
		sent.last = again.last
	}
	return err
}
