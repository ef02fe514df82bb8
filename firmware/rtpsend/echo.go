// Echo requests to the receiver's host: round trips in between the reports of a receiver
// that tells of arrivals by nothing else. Owns the goroutine that sends and reads them.
// Spec: RFC 792 (Echo), RFC 4443 section 4 (ICMPv6).

package rtpsend

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"
)

const (
	// echoEvery is how often the host is asked: 1.8 kbit/s. One that never answered, for
	// firewalls may forbid it, is asked each echoSeldom after echoPatience requests.
	echoEvery    = 200 * time.Millisecond
	echoSeldom   = 10 * time.Second
	echoPatience = 50

	// echoesKept requests may be on their way at a time.
	echoesKept = 64

	// echoSize is a request: type, code, checksum, identifier, sequence number, which
	// the kernel completes, and 8 bytes that a stranger cannot guess.
	echoSize = 16
)

// Types of messages: RFC 792; RFC 4443 sections 4.1 and 4.2.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// An echoConn sends requests to the receiver's host and gets the answers. Receive waits at
// most wait, then fails with os.ErrDeadlineExceeded, and with net.ErrClosed after Close.
type echoConn interface {
	Send(request []byte) error
	Receive(b []byte, wait time.Duration) (n int, err error)
	Close() error
}

// A request is one that has left.
type request struct {
	at     time.Duration
	before uint64 // bytes of the stream that had left
	open   bool   // it has no answer yet
}

// An echo is what the goroutine that asks keeps.
type echo struct {
	conn  echoConn // nil: nobody is asked
	v6    bool
	token [8]byte

	sequence uint16 // of the next
	requests [echoesKept]request
	answered bool // ever
	due      time.Duration
	out      [echoSize]byte
	in       [2 * echoSize]byte
}

func newEcho(conn echoConn, v6 bool) echo {
	e := echo{conn: conn, v6: v6}
	_, _ = rand.Read(e.token[:]) // never fails
	return e
}

// echo asks and listens until Close.
func (s *Sender) echo() {
	defer s.running.Done()
	e := &s.echoes
	for {
		wait := e.due - s.cfg.Monotonic()
		if wait <= 0 {
			if s.closed.Load() {
				return
			}
			s.sending.Lock() // nothing follows BYE
			s.ask()
			s.sending.Unlock()
			wait = e.due - s.cfg.Monotonic()
		}
		n, err := e.conn.Receive(e.in[:], max(wait, time.Millisecond))
		switch now := s.cfg.Monotonic(); {
		case err == nil:
			s.echoed(now, e.in[:n])
		case errors.Is(err, net.ErrClosed):
			return
		case !errors.Is(err, os.ErrDeadlineExceeded): // an ICMP error about a request: the next one may fare better
			select {
			case <-s.done:
				return
			case <-time.After(receivePause):
			}
		}
	}
}

// ask sends a request if the stream flows and nothing better tells of the path. sending is held.
func (s *Sender) ask() {
	e := &s.echoes
	now := s.cfg.Monotonic()
	e.due = now + echoEvery
	if !e.answered && e.sequence >= echoPatience {
		e.due = now + echoSeldom
	}
	last := &e.requests[(e.sequence-1)%echoesKept]
	before, fed := s.departures.sum(now)
	if s.closed.Load() || fed || before == last.before {
		return
	}
	e.out[0] = echoRequest4
	if e.v6 {
		e.out[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(e.out[6:], e.sequence)
	copy(e.out[8:], e.token[:])
	e.requests[e.sequence%echoesKept] = request{s.cfg.Monotonic(), before, true}
	e.sequence++
	_ = e.conn.Send(e.out[:]) // without a network there is no answer, which says it all
}

// echoed hands on an answer; what is none of our requests' changes nothing.
func (s *Sender) echoed(now time.Duration, b []byte) {
	e := &s.echoes
	sequence, ok := e.answers(b)
	if !ok {
		return
	}
	r := &e.requests[sequence%echoesKept]
	if !r.open || e.sequence-sequence-1 >= echoesKept {
		return
	}
	r.open, e.answered = false, true
	s.mu.Lock()
	s.stats.Echoes++
	s.mu.Unlock()
	s.departures.echoed(now, r.at, r.before)
}

// answers tells which request b answers.
func (e *echo) answers(b []byte) (sequence uint16, ok bool) {
	reply := byte(echoReply4)
	if e.v6 {
		reply = echoReply6
	}
	if len(b) != echoSize || b[0] != reply || b[1] != 0 || [8]byte(b[8:]) != e.token {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[6:]), true
}
