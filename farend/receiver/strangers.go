// Who else sends to our ports: counted, and said once for each time that it happens.

package receiver

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

const (
	// strangersQuiet ends what is said once.
	strangersQuiet = 10 * time.Second
	// strangersSayInterval keeps somebody who comes and goes from filling the log.
	strangersSayInterval = time.Minute
	// strangersListMax bounds the addresses that are told apart; a flood may bear any.
	strangersListMax = 16
)

// strangers are those who sent to us lately and are not the source. The zero value has none.
type strangers struct {
	present   bool
	first     netip.AddrPort
	ssrc      uint32
	packets   uint64
	addresses []netip.Addr
	lastAt    time.Duration
	said      bool
	everSaid  bool
	saidAt    time.Duration
}

// note counts a packet of a stranger, and says so once.
func (s *strangers) note(a arrival, because string, log *slog.Logger) {
	from, ssrc, now := a.from, a.ssrc, a.at
	if !s.present {
		s.present, s.said, s.first, s.ssrc, s.packets, s.addresses = true, false, from, ssrc, 0, s.addresses[:0]
	}
	s.packets++
	s.lastAt = now
	if len(s.addresses) < strangersListMax && !slices.Contains(s.addresses, from.Addr()) {
		s.addresses = append(s.addresses, from.Addr())
	}
	if !s.said && (!s.everSaid || now-s.saidAt >= strangersSayInterval) {
		s.said, s.everSaid, s.saidAt = true, true, now
		log.Warn("receiver: somebody else sends here; it is left out", "from", from.String(), "ssrc", ssrc,
			"because", because)
	}
}

// endQuiet says that they are gone.
func (s *strangers) endQuiet(now time.Duration, log *slog.Logger) {
	if !s.present || now-s.lastAt < strangersQuiet {
		return
	}
	s.present = false
	if s.said {
		log.Info("receiver: nobody else sends here any more", "first", s.first.String(), "packets", s.packets,
			"addresses", len(s.addresses))
	}
}
