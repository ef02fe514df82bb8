// One packet to the socket, and what became of it: counters, outages, a new address.

package rtpsend

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// renewInterval is the least time between two attempts to leave a lost address.
const renewInterval = time.Second

// An rtpConn takes RTP packets; *udp.RTPConn is one.
type rtpConn interface {
	Write(packet []byte) (int, error)
	MTU() int // bytes of an IP packet on the path, as far as the kernel knows; 0: not known
	Renew() error
	Close() error
}

// A wire is the RTP socket, and how it has fared lately.
type wire struct {
	conn       rtpConn
	headerSize int // bytes of IP and UDP headers around a packet
	outage     outageLog
	renewedAt  time.Duration // when the socket was last asked to renew itself
}

// A tally is what became of some packets.
type tally struct {
	at              time.Duration // of all of them
	packets, octets uint64        // that left for the first time
	discarded       uint64        // there was no room for them
	errors          udp.Errors
	last            error // the latest send error
	log             pendingLog
}

// noteError counts a packet that did not leave.
func (t *tally) noteError(err error) {
	t.errors.CountError(err)
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
// left, with octets of payload. sending is held.
//
// The kernel reports an ICMP port unreachable by failing the next write without sending
// it: that packet gets a second try, so that a receiver that has just started does not
// lose the first one it could have had.
func (s *Sender) transmit(b []byte, as passage, sent *tally) (octets uint64, ok bool, err error) {
	encrypted := b
	if s.cfg.srtp != nil {
		if encrypted, err = s.cfg.srtp.encryptRTP(b); err != nil { // after 2^48 packets
			sent.noteError(err)
			return 0, false, nil
		}
	}
	_, err = s.wire.conn.Write(encrypted)
	if udp.IsRefused(err) {
		sent.noteError(err)
		_, err = s.wire.conn.Write(encrypted)
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return 0, false, ErrClosed
	case err != nil:
		sent.noteError(err)
		if udp.IsTooLarge(err) { // an ICMP "too big" came: the kernel knows the path now
			s.fitPath(s.wire.conn.MTU(), &sent.log)
		}
		return 0, false, nil
	}
	payload, size := len(b)-packet.HeaderLength(b), len(encrypted)+s.wire.headerSize
	s.ceiling.NoteSent(s.cfg.Monotonic(), size) // not sent.at: the write may have waited
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

// account adds packets to the counters and notes where an outage begins and ends. sending is held.
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
	s.stats.Discarded += sent.discarded
	if sent.errors.TooLarge > 0 || sent.discarded > 0 { // the receiver lacks them for ever
		s.keyFrames.request()
	}
	s.mu.Unlock()
	w := &s.wire
	refused := s.refused.Swap(false) // the other goroutine met it where RTCP shares the socket
	if sent.last == nil && refused {
		sent.last = syscall.ECONNREFUSED
	}
	if sent.last != nil {
		w.outage.noteError(now, sent.last, s.cfg.RTP, &sent.log)
		s.renewSocket(now, sent)
	} else {
		w.outage.noteSuccess(now, s.cfg.RTP, &sent.log)
	}
	s.outage.Store(int32(w.outage.kind))
}

// Outage is what keeps packets from the receiver at present.
func (s *Sender) Outage() Outage { return Outage(s.outage.Load()) }

// renewSocket gives the socket a chance to leave an address that the board lost. sending is held.
func (s *Sender) renewSocket(now time.Duration, sent *tally) {
	w := &s.wire
	if !udp.IsUnroutable(sent.last) || now-w.renewedAt < renewInterval {
		return
	}
	w.renewedAt = now
	if err := w.conn.Renew(); err != nil {
		sent.log.addLine(slog.LevelDebug, "RTP socket not renewed", "error", err)
	}
	s.fitPath(w.conn.MTU(), &sent.log)
}
