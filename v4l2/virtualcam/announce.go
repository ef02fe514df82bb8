// usbredir: how the camera announces itself to QEMU. Source: usbredir protocol 0.7, packets
// interface_info, ep_info and device_connect.

package virtualcam

import "encoding/binary"

const (
	speedFull         = 1
	speedHigh         = 2
	endpointSlots     = 32 // 0 to 15 OUT, 16 to 31 IN
	videoEndpointSlot = 16 + videoEndpoint&15

	endpointControl = 0
	endpointIso     = 1
	endpointBulk    = 2
	endpointNone    = 255
)

// announceDevice announces the device. QEMU needs interfaces and endpoints before it.
func (r *redirection) announceDevice() error {
	d, speed := deviceDescriptor, byte(speedHigh)
	if r.camera.fullSpeed {
		speed = speedFull
	}
	body := append([]byte{speed, d[4], d[5], d[6]}, d[8:14]...) // class, vendor, product, version
	return r.sendPackets(interfaceInfo(), r.endpointInfo(), packet{kind: typeDeviceConnect, body: body})
}

// interfaceInfo returns the packet interface_info: count 4 bytes, then number, class, subclass
// and protocol 32 times each.
func interfaceInfo() packet {
	var b [4 + 4*32]byte
	b[0] = 2
	number, class, subclass := b[4:], b[4+32:], b[4+64:]
	number[1] = streamingInterface
	class[0], class[1] = 14, 14     // video
	subclass[0], subclass[1] = 1, 2 // control, streaming
	return packet{kind: typeInterfaceInfo, body: b[:]}
}

// endpointInfo returns the packet ep_info: type, interval and interface 32 times 1 byte each,
// then the maximum of bytes of a packet 32 times 2. That of an isochronous endpoint depends on
// the alternate setting.
func (r *redirection) endpointInfo() packet {
	var b [endpointSlots * (1 + 1 + 1 + 2)]byte
	kind, interval := b[:], b[endpointSlots:]
	iface, size := b[2*endpointSlots:], b[3*endpointSlots:]
	for i := range endpointSlots {
		kind[i] = endpointNone
	}
	set := func(slot int, k, i byte, n uint16) {
		kind[slot], iface[slot] = k, i
		binary.LittleEndian.PutUint16(size[2*slot:], n)
	}
	set(0, endpointControl, 0, 64)
	set(16, endpointControl, 0, 64)
	switch {
	case !r.camera.isochronous:
		set(videoEndpointSlot, endpointBulk, streamingInterface, uint16(r.camera.packetSize()))
	case r.setting > 0:
		set(videoEndpointSlot, endpointIso, streamingInterface, uint16(r.packetLimit()))
		interval[videoEndpointSlot] = 1 // microframes, 1<<(bInterval-1)
	}
	return packet{kind: typeEndpointInfo, body: b[:]}
}
