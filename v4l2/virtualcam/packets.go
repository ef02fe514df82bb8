// usbredir packets: read with limits. Without state; fuzzed. Source: usbredir protocol 0.7
// (usb-redirection-protocol.md), little endian.

package virtualcam

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Packet types of usbredir, as numbered in usbredirproto.h.
const (
	typeHello               = 0
	typeDeviceConnect       = 1
	typeDeviceDisconnect    = 2
	typeReset               = 3
	typeInterfaceInfo       = 4
	typeEndpointInfo        = 5
	typeSetConfiguration    = 6
	typeGetConfiguration    = 7
	typeConfigurationStatus = 8
	typeSetAlt              = 9
	typeGetAlt              = 10
	typeAltStatus           = 11
	typeStartIso            = 12
	typeStopIso             = 13
	typeIsoStatus           = 14
	typeCancel              = 21
	typeFilterReject        = 22
	typeFilterFilter        = 23
	typeDisconnectAck       = 24
	typeControl             = 100
	typeBulk                = 101
	typeIso                 = 102
)

// Status bytes of usbredir answers.
const (
	statusSuccess   = 0
	statusCancelled = 1
	statusInvalid   = 2
	statusStall     = 4
)

const (
	helloHeader  = 12 // bytes: type 4, length 4, id 4
	packetHeader = 16 // bytes: type 4, length 4, id 8, once both sides offered 64 bit ids
	helloSize    = 64 + 4

	// maxBodySize is the maximum of bytes of a packet from QEMU. It sends control data, 64 KiB
	// at most, and filter rules.
	maxBodySize = 1 << 20
)

var errProtocol = errors.New("not usbredir")

// A packet of usbredir; body excludes the header.
type packet struct {
	kind uint32
	id   uint64
	body []byte
}

// minBodySize is the minimum of bytes of the body of the packets that are parsed.
func minBodySize(kind uint32) int {
	switch kind {
	case typeHello:
		return helloSize
	case typeControl, typeBulk:
		return 10
	case typeStartIso:
		return 3
	case typeSetAlt:
		return 2
	case typeSetConfiguration, typeGetAlt, typeStopIso:
		return 1
	}
	return 0
}

// readPacket reads one packet; the first one of a connection is a hello with a short
// header.
func readPacket(r io.Reader, first bool) (packet, error) {
	var h [packetHeader]byte
	size := packetHeader
	if first {
		size = helloHeader
	}
	if _, err := io.ReadFull(r, h[:size]); err != nil {
		return packet{}, err
	}
	p := packet{kind: binary.LittleEndian.Uint32(h[:]), id: binary.LittleEndian.Uint64(h[8:])}
	n := binary.LittleEndian.Uint32(h[4:])
	switch {
	case first && p.kind != typeHello:
		return packet{}, fmt.Errorf("usbredir: first packet of type %d, want hello: %w", p.kind, errProtocol)
	case n > maxBodySize || int(n) < minBodySize(p.kind):
		return packet{}, fmt.Errorf("usbredir: packet of type %d with %d bytes, want %d to %d: %w",
			p.kind, n, minBodySize(p.kind), maxBodySize, errProtocol)
	}
	p.body = make([]byte, n)
	if _, err := io.ReadFull(r, p.body); err != nil {
		return packet{}, fmt.Errorf("usbredir: body of a packet of type %d with %d bytes: %w", p.kind, n, err)
	}
	return p, nil
}

// appendTo appends the packet to dst.
func (p packet) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, p.kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.body)))
	if p.kind == typeHello {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(p.id))
	} else {
		dst = binary.LittleEndian.AppendUint64(dst, p.id)
	}
	return append(dst, p.body...)
}
