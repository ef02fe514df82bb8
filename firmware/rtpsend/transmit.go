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
	s.mu.Lock()
	s.stats.Packets += sent.packets
	s.stats.Octets += sent.octets
	s.stats.SendErrors.Add(sent.errors)
	s.stats.Resends.add(sent.resends)
	if sent.errors.Refused > 0 {
		s.doubt.refuse(now)
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
	again           bool          // they were sent before
	unnumbered      bool          // their transport-wide number is that of the first time
	packets, octets uint64
	errors          udp.Errors
	resends         Resends
	last            error // the latest send error
}

func (t *tally) fail(err error) {
	t.errors.Count(err)
	t.last = err
}

// write sends one packet, encrypted where that is agreed; its only error is ErrClosed.
// The kernel reports an ICMP port unreachable by failing the next write without sending
// it: that packet gets a second try, so that a receiver that has just started does not
// lose the first one it could have had.
func (s *Sender) write(b []byte, sent *tally) error {
	wire := b
	if s.cfg.cloak != nil {
		var err error
		if wire, err = s.cfg.cloak.sealRTP(b); err != nil { // after 2^48 packets
			sent.fail(err)
			return nil
		}
	}
	_, err := s.media.Write(wire)
	if udp.IsRefused(err) {
		sent.fail(err)
		_, err = s.media.Write(wire)
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case err != nil:
		sent.fail(err)
		if udp.IsTooLarge(err) {
			s.fit(s.media.MTU()) // an ICMP "too big" came: the kernel knows the path now
		}
	default:
		payload := len(b) - packet.HeaderLength(b)
		sent.packets++
		sent.octets += uint64(payload)
		if sent.again {
			payload = 0
		}
		if sent.unnumbered {
			s.departures.leftAgain(sent.at, len(wire)+s.below)
		} else {
			s.departures.left(sent.at, len(wire)+s.below, payload)
		}
	}
	return nil
}
