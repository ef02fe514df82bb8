// Package packet makes the bytes of what farend/forward sends: RTP under an identity of its own, RTCP
// about it, and what is kept to be sent again. It has no clock, socket or goroutine; nothing in it is
// safe for use by several goroutines.
//
// Times are passed in; a stamp is RTP's, in 1/90000 s.
//
// Sources: RFC 3550 sections 5.1 (RTP), 6.4.1 (SR), 6.5.1 (CNAME), 6.6 (BYE); RFC 7022.
package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

const (
	PayloadType = 96
	ClockRate   = 90000 // RFC 7741 section 6.1

	headerSize = 12

	// lateWindow is for how many packets after a restart one may come that was sent before the
	// first that came: its number would be one that the source before had.
	lateWindow = 1024
)

// An Identity gives packets of a source the numbers of a forwarding. A gap in the source's numbers
// stays one, so that receivers see what was lost.
type Identity struct {
	SSRC           uint32
	begun          bool // a packet left
	restart        bool // the next packet is the first of a source
	sequenceOffset uint16
	timeOffset     uint32

	first      uint16 // number of the first packet of this source
	sinceFirst int
	newest     uint16
	newestTime uint32
	newestAt   time.Time
}

// NewIdentity has a random SSRC, and begins at random numbers.
func NewIdentity() Identity {
	return Identity{
		SSRC: rand.Uint32(), restart: true,
		newest: uint16(rand.Uint32()), newestTime: rand.Uint32(),
	}
}

// A Part is what of a packet is sent on.
type Part struct {
	Marker   bool
	Sequence uint16
	Time     uint32
	Payload  []byte // of the packet given
}

// Take gives a packet of the source its numbers. ok is false for what is no RTP, or belongs before
// the first packet of the source.
func (i *Identity) Take(packet []byte, at time.Time) (p Part, ok bool) {
	payload, ok := payloadOf(packet)
	if !ok {
		return Part{}, false
	}
	sequence := binary.BigEndian.Uint16(packet[2:])
	stamp := binary.BigEndian.Uint32(packet[4:])
	if i.restart {
		i.begin(sequence, stamp, at)
	}
	p = Part{packet[1]&0x80 != 0, sequence + i.sequenceOffset, stamp + i.timeOffset, payload}
	if i.sinceFirst < lateWindow {
		i.sinceFirst++
		if int16(p.Sequence-i.first) < 0 {
			return Part{}, false
		}
	}
	if !i.begun || int16(p.Sequence-i.newest) > 0 {
		i.newest, i.newestTime, i.newestAt, i.begun = p.Sequence, p.Time, at, true
	}
	return p, true
}

// Restart says that the next packet is the first of a source. It follows the last one of ours.
func (i *Identity) Restart() { i.restart = true }

// StampOf is what the source's time stamp becomes. ok is false from a restart to the next packet.
func (i *Identity) StampOf(stamp uint32) (ours uint32, ok bool) {
	return stamp + i.timeOffset, !i.restart
}

// Newest is the time stamp of the newest packet, and when it came.
func (i *Identity) Newest() ClockPoint { return ClockPoint{i.newestTime, i.newestAt} }

// begin makes the source's first packet the next one of ours, as much later as it came.
func (i *Identity) begin(sequence uint16, stamp uint32, at time.Time) {
	i.first = i.newest + 1
	later := uint32(1)
	if i.begun {
		later = max(1, ticks(at.Sub(i.newestAt)))
	}
	i.sequenceOffset = i.first - sequence
	i.timeOffset = i.newestTime + later - stamp
	i.restart, i.sinceFirst = false, 0
}

// Append puts header and payload behind dst.
func (i *Identity) Append(dst []byte, p Part) []byte {
	second := byte(PayloadType)
	if p.Marker {
		second |= 0x80
	}
	dst = append(dst, 0x80, second)
	dst = binary.BigEndian.AppendUint16(dst, p.Sequence)
	dst = binary.BigEndian.AppendUint32(dst, p.Time)
	dst = binary.BigEndian.AppendUint32(dst, i.SSRC)
	return append(dst, p.Payload...)
}

// payloadOf finds the payload behind contributing sources and header extension, without padding.
func payloadOf(b []byte) (payload []byte, ok bool) {
	if len(b) < headerSize || b[0]>>6 != 2 {
		return nil, false
	}
	start := headerSize + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < start+4 {
			return nil, false
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		padding := int(b[end-1])
		if padding == 0 {
			return nil, false
		}
		end -= padding
	}
	if start > end {
		return nil, false
	}
	return b[start:end], true
}

// ticks is a length of time on VP8's clock; never below 0.
func ticks(d time.Duration) uint32 {
	return uint32(max(0, d).Microseconds() * (ClockRate / 10000) / 100)
}
