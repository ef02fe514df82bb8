// Echo requests to the receiver's host: round trips in between the reports of a receiver that
// reports arrivals by nothing else. Spec: RFC 792 (Echo), RFC 4443 section 4 (ICMPv6).

package udp

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// echoInterval is how often the host is asked: 1.8 kbit/s. A host that has not answered
	// echoTries requests, because a firewall may forbid it, is asked every silentInterval.
	echoInterval   = 200 * time.Millisecond
	silentInterval = 10 * time.Second
	echoTries      = 50

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

// An EchoConn sends requests to the receiver's host and gets the answers. Receive waits at
// most wait, then fails with os.ErrDeadlineExceeded, and with net.ErrClosed after Close.
type EchoConn interface {
	Send(request []byte) error
	Receive(b []byte, wait time.Duration) (n int, err error)
	Close() error
}

// An EchoRequest is one that has left.
type EchoRequest struct {
	At     time.Duration
	Before uint64 // bytes of the stream that had left

	open bool // it has no answer yet
}

// An Echo asks one host and knows its own answers. SendRequest and Receive must not run at a time.
type Echo struct {
	conn  EchoConn
	v6    bool
	token [8]byte

	sequence uint16 // of the next
	requests [echoesKept]EchoRequest
	answered bool // ever
	due      time.Duration
	out      [echoSize]byte
	in       [2 * echoSize]byte
}

// OpenEcho makes a socket to ask the host at to.
func OpenEcho(to netip.Addr) (*Echo, error) {
	conn, err := dialEcho(to)
	if err != nil {
		return nil, err
	}
	return NewEcho(conn, to.Is6()), nil
}

// NewEcho asks through conn, by ICMPv6 or ICMP.
func NewEcho(conn EchoConn, v6 bool) *Echo {
	e := &Echo{conn: conn, v6: v6}
	_, _ = rand.Read(e.token[:]) // never fails
	return e
}

// DueAt is when the next request should leave.
func (e *Echo) DueAt() time.Duration { return e.due }

// Postpone puts off the next request as if one had left now.
func (e *Echo) Postpone(now time.Duration) {
	e.due = now + echoInterval
	if !e.answered && e.sequence >= echoTries {
		e.due = now + silentInterval
	}
}

// SendRequest sends a request; before are the bytes of the stream that have left by now. A host
// that was asked at that very byte is not asked again: the stream stands still. An error is not
// returned: without a network there is no answer.
func (e *Echo) SendRequest(now time.Duration, before uint64) {
	last := &e.requests[(e.sequence-1)%echoesKept]
	if before == last.Before {
		return
	}
	e.out[0] = echoRequest4
	if e.v6 {
		e.out[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(e.out[6:], e.sequence)
	copy(e.out[8:], e.token[:])
	e.requests[e.sequence%echoesKept] = EchoRequest{At: now, Before: before, open: true}
	e.sequence++
	_ = e.conn.Send(e.out[:])
}

// Receive waits for an answer, at most wait, and gives the request that it answers. Not ok: it
// is no answer to one of ours, or not the first.
func (e *Echo) Receive(wait time.Duration) (r EchoRequest, ok bool, err error) {
	n, err := e.conn.Receive(e.in[:], wait)
	if err != nil {
		return r, false, err
	}
	r, ok = e.matchAnswer(e.in[:n])
	return r, ok, nil
}

// matchAnswer finds the request that b answers, once.
func (e *Echo) matchAnswer(b []byte) (EchoRequest, bool) {
	sequence, ok := e.parseAnswer(b)
	if !ok {
		return EchoRequest{}, false
	}
	r := &e.requests[sequence%echoesKept]
	if !r.open || e.sequence-sequence-1 >= echoesKept {
		return EchoRequest{}, false
	}
	r.open, e.answered = false, true
	return *r, true
}

// parseAnswer reads an answer to a request of ours.
func (e *Echo) parseAnswer(b []byte) (sequence uint16, ok bool) {
	reply := byte(echoReply4)
	if e.v6 {
		reply = echoReply6
	}
	if len(b) != echoSize || b[0] != reply || b[1] != 0 || [8]byte(b[8:]) != e.token {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[6:]), true
}

// Close ends a Receive that waits.
func (e *Echo) Close() error { return e.conn.Close() }
