// ARP packets over Ethernet: bytes to values and back. Source: RFC 826.

package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// arpLength is that of a packet for 6 bytes of hardware address and 4 of IPv4.
const arpLength = 8 + 2*(6+4)

const (
	arpRequest = 1
	arpReply   = 2
)

// An ARP says that Sender has the address SenderIP, and asks or answers for TargetIP. A request
// with the SenderIP 0.0.0.0 is a probe; one with both addresses the same is an announcement.
type ARP struct {
	Request            bool
	Sender             net.HardwareAddr
	SenderIP, TargetIP netip.Addr
}

var errNotARP = errors.New("not an ARP packet for IPv4 over Ethernet")

// ParseARP reads a packet; what follows it in a frame is padding.
func ParseARP(b []byte) (ARP, error) {
	if len(b) < arpLength || !bytes.Equal(b[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return ARP{}, errNotARP
	}
	operation := binary.BigEndian.Uint16(b[6:])
	if operation != arpRequest && operation != arpReply {
		return ARP{}, errNotARP
	}
	return ARP{
		Request:  operation == arpRequest,
		Sender:   bytes.Clone(b[8:14]),
		SenderIP: netip.AddrFrom4([4]byte(b[14:])),
		TargetIP: netip.AddrFrom4([4]byte(b[24:])),
	}, nil
}

// Bytes is the packet; the target's hardware address is not known.
func (a ARP) Bytes() []byte {
	b := make([]byte, arpLength)
	copy(b, []byte{0, 1, 8, 0, 6, 4, 0, arpReply})
	if a.Request {
		b[7] = arpRequest
	}
	copy(b[8:], a.Sender)
	copy(b[14:], a.SenderIP.AsSlice())
	copy(b[24:], a.TargetIP.AsSlice())
	return b
}
