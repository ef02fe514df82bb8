// The one identity of what is sent on: SSRC, sequence numbers and time stamps that go on when the
// source begins anew. Pure.
// Spec: RFC 3550 section 5.1.

package forward

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

const (
	payloadType = 96
	clockRate   = 90000 // RFC 7741 section 6.1
	headerSize  = 12

	// lateWindow is for how many packets after a restart one may come that was sent before the
	// first that came: its number would be one that the source before had.
	lateWindow = 1024
)

// An identity gives packets of a source the numbers of a forwarding. A gap in the source's numbers
// stays one, so that receivers see what was lost.
type identity struct {
	ssrc           uint32
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

func newIdentity() identity {
	return identity{
		ssrc: rand.Uint32(), restart: true,
		newest: uint16(rand.Uint32()), newestTime: rand.Uint32(),
	}
}

// A part is what of a packet is sent on.
type part struct {
	marker   bool
	sequence uint16
	time     uint32
	payload  []byte // of the packet given
}

// take gives a packet of the source its numbers. ok is false for what is no RTP, or belongs before
// the first packet of the source.
func (i *identity) take(packet []byte, at time.Time) (p part, ok bool) {
	payload, ok := payloadOf(packet)
	if !ok {
		return part{}, false
	}
	sequence := binary.BigEndian.Uint16(packet[2:])
	stamp := binary.BigEndian.Uint32(packet[4:])
	if i.restart {
		i.begin(sequence, stamp, at)
	}
	p = part{packet[1]&0x80 != 0, sequence + i.sequenceOffset, stamp + i.timeOffset, payload}
	if i.sinceFirst < lateWindow {
		i.sinceFirst++
		if int16(p.sequence-i.first) < 0 {
			return part{}, false
		}
	}
	if !i.begun || int16(p.sequence-i.newest) > 0 {
		i.newest, i.newestTime, i.newestAt, i.begun = p.sequence, p.time, at, true
	}
	return p, true
}

// begin makes the source's first packet the next one of ours, as much later as it came.
func (i *identity) begin(sequence uint16, stamp uint32, at time.Time) {
	i.first = i.newest + 1
	later := uint32(1)
	if i.begun {
		later = max(1, ticks(at.Sub(i.newestAt)))
	}
	i.sequenceOffset = i.first - sequence
	i.timeOffset = i.newestTime + later - stamp
	i.restart, i.sinceFirst = false, 0
}

// write puts header and payload behind dst.
func (i *identity) write(dst []byte, p part) []byte {
	second := byte(payloadType)
	if p.marker {
		second |= 0x80
	}
	dst = append(dst, 0x80, second)
	dst = binary.BigEndian.AppendUint16(dst, p.sequence)
	dst = binary.BigEndian.AppendUint32(dst, p.time)
	dst = binary.BigEndian.AppendUint32(dst, i.ssrc)
	return append(dst, p.payload...)
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
	return uint32(max(0, d).Microseconds() * (clockRate / 10000) / 100)
}
