// One packet to the socket, and what became of it: counters, outages, a new address.

package rtpsend

import (
	"errors"
	"net"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// calm is how long frames must leave without an error before an outage is over: where
// nobody listens, each ICMP answer fails one frame and not the next, and hosts send
// about one a second (icmp(7), icmp_ratelimit).
const calm = 5 * time.Second

// account adds packets to the counters and logs where an outage begins and ends.
func (s *Sender) account(now time.Duration, sent *tally) {
	resends := s.resender.TakeCounts()
	s.mu.Lock()
	s.stats.Packets += sent.packets
	s.stats.Octets += sent.octets
	s.stats.SendErrors.Add(sent.errors)
	s.stats.Resends.Add(resends)
	if sent.errors.Refused > 0 {
		s.session.NoteRefusal(now)
	}
	if sent.errors.TooLarge > 0 { // the receiver lacks them for ever: they do not fit
		s.keyFrames.request()
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
	if !udp.IsUnroutable(why) || now-s.renewed < time.Second {
		return
	}
	s.renewed = now
	if err := s.media.Renew(); err != nil {
		s.cfg.Log.Debug("RTP socket not renewed", "err", err)
	}
	s.fit(s.media.MTU())
}

// A tally is what became of some packets.
type tally struct {
	at              time.Duration // of all of them
	packets, octets uint64        // that left for the first time
	errors          udp.Errors
	last            error // the latest send error
}

func (t *tally) fail(err error) {
	t.errors.Count(err)
	t.last = err
}

// A passage is which time of a packet this is.
type passage int

const (
	firstTime passage = iota
	again             // it has left before, and has a transport-wide number of its own all the same
	verbatim          // it has left before, and has the number of that time
)

// transmit sends one packet, encrypted where that is agreed; its only error is ErrClosed. ok: it
// left, with octets of payload.
//
// The kernel reports an ICMP port unreachable by failing the next write without sending
// it: that packet gets a second try, so that a receiver that has just started does not
// lose the first one it could have had.
func (s *Sender) transmit(b []byte, as passage, sent *tally) (octets uint64, ok bool, err error) {
	wire := b
	if s.cfg.cloak != nil {
		if wire, err = s.cfg.cloak.sealRTP(b); err != nil { // after 2^48 packets
			sent.fail(err)
			return 0, false, nil
		}
	}
	_, err = s.media.Write(wire)
	if udp.IsRefused(err) {
		sent.fail(err)
		_, err = s.media.Write(wire)
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return 0, false, ErrClosed
	case err != nil:
		sent.fail(err)
		if udp.IsTooLarge(err) {
			s.fit(s.media.MTU()) // an ICMP "too big" came: the kernel knows the path now
		}
		return 0, false, nil
	}
	payload, size := len(b)-packet.HeaderLength(b), len(wire)+s.below
	switch as {
	case firstTime:
		s.departures.NoteMedia(sent.at, size, payload, packet.Sequence(b))
	case again:
		s.departures.NoteResend(sent.at, size)
	case verbatim:
		s.departures.NoteVerbatim(sent.at, size)
	}
	return uint64(payload), true, nil
}
