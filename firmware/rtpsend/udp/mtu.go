// How large a packet may be on this machine's way out. Spec: RFC 1191, RFC 8201; ip(7), IP_MTU.

package udp

import (
	"net/netip"
	"syscall"
)

const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
)

// HeaderSize is what IP and UDP add to a packet to an address.
func HeaderSize(to netip.Addr) int {
	if to.Is4() {
		return ipv4Header + udpHeader
	}
	return ipv6Header + udpHeader
}

// EchoSize is the size of an echo request to an address, IP header included.
func EchoSize(to netip.Addr) int { return HeaderSize(to) - udpHeader + echoSize }

// MTU is the largest IP packet on the path, as far as the kernel knows: the interface's, or less where
// an ICMP message said so. 0 if it says nothing.
func (c *RTPConn) MTU() int {
	level, option := syscall.IPPROTO_IPV6, syscall.IPV6_MTU
	if c.network == "udp4" {
		level, option = syscall.IPPROTO_IP, syscall.IP_MTU
	}
	raw, err := c.socket.Load().SyscallConn()
	if err != nil {
		return 0
	}
	var mtu int
	if err := raw.Control(func(fd uintptr) { mtu, err = syscall.GetsockoptInt(int(fd), level, option) }); err != nil {
		return 0
	}
	if err != nil {
		return 0
	}
	return mtu
}
