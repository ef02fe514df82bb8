// A filter in the kernel for what cannot be RTCP of the receiver: a flood of garbage costs no system
// call and no place in the socket's queue. What passes is judged again by rtpsend, which works without
// the filter, too. Spec: RFC 5761 section 4 (types), Linux's networking/filter (classic BPF).

package udp

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// networkHeader is where the filter of a UDP socket finds the IP header (SKF_NET_OFF). Offset 0 is
	// the UDP header.
	networkHeader = 0xfff00000

	source4, source6 = 12, 8 // of the source's address in an IP header

	wholePacket = 1 << 16 // bytes that pass, more than there are
)

// rtcpFilter is a program that passes what comes from a host and begins like RTCP: version 2, a type of
// 192 to 223. A load beyond the packet's end drops the packet.
func rtcpFilter(from netip.Addr) []unix.SockFilter {
	load := func(size uint16, offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | size | unix.BPF_ABS, K: offset}
	}
	jump := func(test uint16, value uint32) unix.SockFilter { // to the next one if so, else to the drop
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: value}
	}
	var p []unix.SockFilter
	address, at := from.AsSlice(), uint32(networkHeader+source6)
	if from.Is4() {
		at = networkHeader + source4
	}
	for i := 0; i < len(address); i += 4 {
		p = append(p, load(unix.BPF_W, at+uint32(i)), jump(unix.BPF_JEQ, binary.BigEndian.Uint32(address[i:])))
	}
	p = append(p,
		load(unix.BPF_B, udpHeader), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xc0},
		jump(unix.BPF_JEQ, 2<<6),
		load(unix.BPF_B, udpHeader+1), unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xe0},
		jump(unix.BPF_JEQ, 192),
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: wholePacket},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
	for i := range p {
		if p[i].Code&0x07 == unix.BPF_JMP {
			p[i].Jf = uint8(len(p) - 1 - i - 1)
		}
	}
	return p
}

// filterRTCP gives a socket the filter.
func filterRTCP(raw syscall.RawConn, from netip.Addr) error {
	program := rtcpFilter(from)
	var setErr error
	if err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", setErr)
}
