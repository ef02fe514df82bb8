// Sockets, without allocation for a packet. What the kernel counts of them is in socket_linux.go.

package receiver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// datagramMax, in bytes, is more than Ethernet carries, jumbo frames included. What is longer is cut and
// then malformed.
const datagramMax = 9216

// A socket is one UDP port.
type socket interface {
	read(b []byte) (n int, from netip.AddrPort, err error)
	write(b []byte, to netip.AddrPort) error // does not block
	port() int
	drops() uint64 // packets that the kernel had no room for
	Close() error
}

// Receive buffers hold what comes while the process does not run, in bytes of the kernel's own reckoning:
// about 2 KB for a packet of 1,200 bytes and 0.8 KB for a small one; Linux doubles them. sharedBuffer is of a
// port for all streams: 50 streams of 300 kbit/s for 10 s, or a flood of 50,000 packets/s for 1.6 s. poolBuffer
// is of a port for one. The kernel takes the memory only while packets wait.
const (
	sharedBuffer = 32 << 20
	poolBuffer   = 2 << 20
)

// listenUDP opens a port; 0: any.
func listenUDP(host string, port, buffer int) (socket, error) {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return packetSocket{conn}, nil
	}
	return udpSocket{udp, setReadBuffer(udp, buffer)}, nil
}

// halveUntilTaken asks for a buffer, for half of it and so on: some systems refuse what is beyond their limit.
// 0: none was taken.
func halveUntilTaken(size int, set func(size int) error) (taken int) {
	for ; size >= readBufferMin; size /= 2 {
		if set(size) == nil {
			return size
		}
	}
	return 0
}

// readBufferMin is less than any system's own choice.
const readBufferMin = 16 << 10

// socketOf is for a socket that is open already.
func socketOf(conn net.PacketConn) socket {
	if udp, ok := conn.(*net.UDPConn); ok {
		return udpSocket{UDPConn: udp}
	}
	return packetSocket{conn}
}

type udpSocket struct {
	*net.UDPConn
	buffer int // bytes for packets that were not read yet; 0: not known
}

func (s udpSocket) read(b []byte) (int, netip.AddrPort, error) { return s.ReadFromUDPAddrPort(b) }

func (s udpSocket) write(b []byte, to netip.AddrPort) error {
	_, err := s.WriteToUDPAddrPort(b, to)
	return err
}

func (s udpSocket) port() int     { return portOf(s.LocalAddr()) }
func (s udpSocket) drops() uint64 { return kernelDrops(s.UDPConn) }

// A packetSocket is one that something else than the kernel stands behind: a link that loses packets.
type packetSocket struct{ net.PacketConn }

func (s packetSocket) read(b []byte) (int, netip.AddrPort, error) {
	n, from, err := s.ReadFrom(b)
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return n, netip.AddrPort{}, err
	}
	return n, udp.AddrPort(), err
}

func (s packetSocket) write(b []byte, to netip.AddrPort) error {
	_, err := s.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

func (s packetSocket) port() int     { return portOf(s.LocalAddr()) }
func (s packetSocket) drops() uint64 { return 0 }

func portOf(a net.Addr) int {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return 0
	}
	return udp.Port
}

// readFailuresMax in a row end a socket. A single one need not: Windows reports on receiving
// that an earlier report could not be delivered.
const readFailuresMax = 100

// A handler takes a datagram, which is its own until it returns, and when it came.
type handler func(b []byte, from netip.AddrPort, at time.Time)

// readSocket reads until the socket is closed.
func readSocket(s socket, now func() time.Time, take handler) error {
	b := make([]byte, datagramMax)
	for failures := 0; ; {
		n, from, err := s.read(b)
		switch {
		case err == nil:
			failures = 0
			take(b[:n], from, now())
		case errors.Is(err, net.ErrClosed):
			return nil
		case failures == readFailuresMax:
			return fmt.Errorf("receiver: port %d: %w", s.port(), err)
		default:
			failures++
		}
	}
}
