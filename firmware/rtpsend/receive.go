// RTCP in: whom to believe. Takes bytes from anybody. What a packet says is read by feedback,
// what that changes is in react.go.

package rtpsend

import (
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

// maxReport is the largest RTCP packet that is read: one Ethernet frame.
const maxReport = 1500

// receive drops what does not come from the receiver's host, is too large or too
// much, before anything of it is parsed. The port may be any: GStreamer sends from
// another one than it listens on.
func (s *Sender) receive(b []byte, from netip.AddrPort) {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	ignored := &s.stats.Ignored
	switch {
	case from.Addr().Unmap().WithZone("") != s.cfg.RTCP.Addr().WithZone(""):
		ignored.Stranger++
	case len(b) > maxReport:
		ignored.TooLarge++
	case !s.quota.take(now):
		ignored.TooMany++
	default:
		s.read(b, now)
	}
}

// read decrypts a datagram where that is agreed, and acts on it. mu is held.
func (s *Sender) read(b []byte, now time.Duration) {
	size := len(b)
	if s.cfg.cloak != nil {
		var err error
		if b, err = s.cfg.cloak.openRTCP(b); err != nil {
			s.stats.Ignored.Forged++
			return
		}
	}
	if !feedback.IsCompound(b) {
		s.stats.Ignored.Malformed++
		return
	}
	s.session.NoteHeard(now, size)
	for part := []byte(nil); len(b) > 0; {
		part, b = feedback.Split(b)
		m, ok := feedback.Parse(part)
		s.react(&m, ok, now)
	}
}
