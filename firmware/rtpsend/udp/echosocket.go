// The socket for echo requests. Linux gives such a socket to users of a group in
// net.ipv4.ping_group_range, for IPv6 too (icmp(7)). It gets the answers to its own requests
// only. It is not connected, so a change of this machine's address does not matter.

package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type echoSocket struct {
	file *os.File
	raw  syscall.RawConn
	to   unix.Sockaddr
}

// dialEcho makes one, to the host of a receiver.
func dialEcho(to netip.Addr) (*echoSocket, error) {
	family, protocol, version := unix.AF_INET6, unix.IPPROTO_ICMPV6, network(to)
	s := &echoSocket{}
	if to.Is4() {
		family, protocol = unix.AF_INET, unix.IPPROTO_ICMP
		s.to = &unix.SockaddrInet4{Addr: to.As4()}
	} else {
		scope, err := zoneIndex(to.Zone())
		if err != nil {
			return nil, err
		}
		s.to = &unix.SockaddrInet6{Addr: to.As16(), ZoneId: scope}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s.file = os.NewFile(uintptr(fd), "echo") // Go's poller takes it, because it does not block
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	_ = setTrafficClass(s.raw, version) // the queue of the packets whose delay it is about
	return s, nil
}

// zoneIndex is the index of an IPv6 zone, which is an interface's name or number.
func zoneIndex(name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}

func (s *echoSocket) Send(request []byte) error {
	var sent error
	err := s.raw.Write(func(fd uintptr) bool {
		sent = unix.Sendto(int(fd), request, 0, s.to)
		return true // where the queue is full, no answer comes, which says the same
	})
	return errors.Join(err, sent)
}

func (s *echoSocket) Receive(b []byte, wait time.Duration) (int, error) {
	if err := s.file.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, closedAs(err)
	}
	n, err := s.file.Read(b)
	return n, closedAs(err)
}

func (s *echoSocket) Close() error { return s.file.Close() }
