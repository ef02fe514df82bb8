// DHCP messages and ARP packets on packet sockets, because they come and go before the interface
// has an address. Sources: packet(7), RFC 791, RFC 768, RFC 2131 section 4.1.

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/cmd/dhcp/client"
)

const (
	serverPort = 67
	clientPort = 68

	ipHeader  = 20
	udpHeader = 8
	protoUDP  = 17
	// maxPacket is what is read of one packet: a longer one is cut, and then refused by its length.
	maxPacket = 60 + udpHeader + client.MaxMessage + 1
)

var (
	broadcast  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	errNotDHCP = errors.New("not a packet to the DHCP client's port")
)

// sockets are those of one interface.
type sockets struct {
	messages, arp *packet.Conn
}

func openSockets(index int) (*sockets, error) {
	i := &net.Interface{Index: index}
	filter, err := messageFilter()
	if err != nil {
		return nil, err
	}
	messages, err := packet.Listen(i, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("packet socket for DHCP: %w", err)
	}
	arp, err := packet.Listen(i, packet.Datagram, unix.ETH_P_ARP, nil)
	if err != nil {
		messages.Close()
		return nil, fmt.Errorf("packet socket for ARP: %w", err)
	}
	return &sockets{messages, arp}, nil
}

func (s *sockets) close() {
	s.messages.Close()
	s.arp.Close()
}

// messageFilter has the kernel drop all but UDP to clientPort: the rest of the stream's own traffic
// would wake us for each packet.
func messageFilter() ([]bpf.RawInstruction, error) {
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoUDP, SkipTrue: 5},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 3}, // a fragment
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: clientPort, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: maxPacket},
	})
}

var everyone = &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}

func (s *sockets) broadcast(ip []byte) error {
	_, err := s.messages.WriteTo(ip, everyone)
	return err
}

func (s *sockets) sendARP(p client.ARP) error {
	_, err := s.arp.WriteTo(p.Bytes(), everyone)
	return err
}

// sendRouted sends a packet to a server beyond the link, or on it, as the kernel's routes of this
// interface say.
func sendRouted(name string, ip []byte, to netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.BindToDevice(fd, name); err != nil {
		return fmt.Errorf("bind to %s: %w", name, err)
	}
	if err := unix.Sendto(fd, ip, 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
		return fmt.Errorf("send to %v: %w", to, err)
	}
	return nil
}

// newUDP wraps a message of ours.
func newUDP(from, to netip.Addr, payload []byte) []byte {
	b := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(payload))
	b[0], b[8], b[9] = 4<<4|ipHeader/4, 64, protoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^sum16(0, b[:ipHeader]))

	udp := b[ipHeader:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeader+len(payload)))
	pseudo := sum16(uint16(protoUDP+udpHeader+len(payload)), b[12:20])
	checksum := ^sum16(sum16(pseudo, udp), payload)
	if checksum == 0 {
		checksum = 0xffff // 0 means that there is none
	}
	binary.BigEndian.PutUint16(udp[6:], checksum)
	return append(b, payload...)
}

// parseUDP unwraps a packet to clientPort. The checksum of UDP is not looked at: a packet of this
// machine's own virtual networks has none yet, and Ethernet has looked at the rest.
func parseUDP(b []byte) (from netip.Addr, payload []byte, err error) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return from, nil, errNotDHCP
	}
	header, length := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipHeader || length < header+udpHeader || length > len(b) || b[9] != protoUDP {
		return from, nil, errNotDHCP
	}
	if sum16(0, b[:header]) != 0xffff {
		return from, nil, fmt.Errorf("IP header's checksum: %w", errNotDHCP)
	}
	udp := b[header:length]
	end := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != clientPort || end < udpHeader || end > len(udp) {
		return from, nil, errNotDHCP
	}
	return netip.AddrFrom4([4]byte(b[12:])), udp[udpHeader:end], nil
}

// sum16 adds b to the ones' complement sum (RFC 1071).
func sum16(sum uint16, b []byte) uint16 {
	total := uint32(sum)
	for ; len(b) > 1; b = b[2:] {
		total += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
