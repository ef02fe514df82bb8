// How much fits into a packet on the path to the receiver. Spec: RFC 1191, RFC 8201;
// ip(7), IP_MTU and IP_MTU_DISCOVER.

package rtpsend

import (
	"syscall"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

const (
	ethernetMTU = 1500
	udpHeader   = 8

	// leastMTU is the smallest that the kernel believes in (min_pmtu of route(7)), so
	// that a forged ICMP packet cannot make packets of a few bytes.
	leastMTU = 552
)

// fit makes packets small enough for a path of mtu bytes; 0 is no news. sending is
// held, or nobody sends yet.
func (s *Sender) fit(mtu int) {
	if mtu == 0 {
		return
	}
	room := max(mtu, leastMTU) - s.below - packet.HeaderSize - s.overhead()
	room = min(room, rtpvp8.MaxPayload-s.overhead())
	if s.payload != 0 && room != s.payload {
		s.cfg.Log.Info("packets fit the path", "mtu", mtu, "payload", room)
	}
	s.payload = room
}

// overhead is what a payload grows by before it is sent.
func (s *Sender) overhead() int {
	n := 0
	if s.cfg.RTX {
		n += packet.RTXHeaderSize
	}
	if s.cfg.cloak != nil {
		n += s.cfg.cloak.tag
	}
	return n
}

// askForErrors makes the kernel refuse packets that are too large for the path, instead
// of cutting them into fragments, of which each lost one loses all.
func askForErrors(raw syscall.RawConn, network string) error {
	if network == "udp4" {
		return setOption(raw, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO)
	}
	return setOption(raw, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, syscall.IPV6_PMTUDISC_DO)
}

// MTU is what the kernel knows of the path; 0 if it says nothing.
func (u *udpMedia) MTU() int {
	level, option := syscall.IPPROTO_IPV6, syscall.IPV6_MTU
	if u.network == "udp4" {
		level, option = syscall.IPPROTO_IP, syscall.IP_MTU
	}
	raw, err := u.conn.Load().SyscallConn()
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
