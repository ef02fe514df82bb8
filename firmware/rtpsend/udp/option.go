// Options of the sockets. Each is asked for, none is a condition: without it the stream flows,
// but worse.

package udp

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// af41 marks packets as interactive video, discard low: class 34 in the upper six
// bits of the traffic class (RFC 4594 section 4.3). Wi-Fi queues it as video.
const af41 = 34 << 2

// setTrafficClass marks what leaves the socket as video.
func setTrafficClass(raw syscall.RawConn, network string) error {
	if network == "udp4" {
		return setOption(raw, syscall.IPPROTO_IP, syscall.IP_TOS, af41)
	}
	return setOption(raw, syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, af41)
}

// refuseFragments makes the kernel refuse packets that are too large for its own interface, with
// EMSGSIZE, instead of cutting them into fragments, of which each lost one loses all.
//
// Routers may cut a packet of IPv4 all the same: none has the flag "don't fragment". With the flag,
// a router whose ICMP is filtered would drop what it cannot pass, and nobody would know. Nor does an
// ICMP message that anybody may have forged change the size (ip(7), IP_PMTUDISC_INTERFACE). Routers of
// IPv6 never cut; there ICMP is believed, down to 1,280 bytes, the least MTU of IPv6.
func refuseFragments(raw syscall.RawConn, network string) error {
	if network == "udp4" {
		return setOption(raw, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, unix.IP_PMTUDISC_INTERFACE)
	}
	return setOption(raw, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, syscall.IPV6_PMTUDISC_DO)
}

// limitQueue limits what waits in the socket; 0: no limit but the kernel's. The kernel takes
// twice the value and counts its own bookkeeping, which is as much again as a full packet
// (socket(7), SO_SNDBUF).
func limitQueue(raw syscall.RawConn, queue int) error {
	if queue == 0 {
		return nil
	}
	return setOption(raw, syscall.SOL_SOCKET, syscall.SO_SNDBUF, queue)
}

func setOption(raw syscall.RawConn, level, option, value int) error {
	var setErr error
	if err := raw.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), level, option, value)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", setErr)
}
