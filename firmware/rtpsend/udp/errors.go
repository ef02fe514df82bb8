// What the kernel's errors mean. Spec: udp(7), icmp(7).

package udp

import (
	"errors"
	"syscall"
)

// Errors counts packets that the kernel did not take, by cause. None of them ends
// a stream: receivers restart, and links go and come.
type Errors struct {
	Refused     uint64 // the receiver's host says that nobody listens (ICMP port unreachable)
	Unreachable uint64 // no route, no link, no neighbour
	TooLarge    uint64 // for the path: later packets are smaller
	Other       uint64 // a full queue, a firewall
}

// CountError adds one error.
func (e *Errors) CountError(err error) {
	switch {
	case IsRefused(err):
		e.Refused++
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN):
		e.Unreachable++
	case IsTooLarge(err):
		e.TooLarge++
	default:
		e.Other++
	}
}

// Add adds what another one counted.
func (e *Errors) Add(more Errors) {
	e.Refused += more.Refused
	e.Unreachable += more.Unreachable
	e.TooLarge += more.TooLarge
	e.Other += more.Other
}

// IsRefused says that nobody listens at the receiver. The kernel reports an ICMP port
// unreachable by failing the next write, without sending it.
func IsRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// IsTooLarge says that the packet does not fit the path: RTPConn.MTU knows more now.
func IsTooLarge(err error) bool { return errors.Is(err, syscall.EMSGSIZE) }

// IsUnroutable says that there is no route from the socket's address, which this machine may
// have lost: RTPConn.Renew may help.
func IsUnroutable(err error) bool { return errors.Is(err, syscall.ENETUNREACH) }
