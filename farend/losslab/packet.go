//go:build linux

// A recorded IPv4 packet, and the RTP in it. Pure.
// Spec: RFC 791, RFC 768, RFC 3550 section 5.1, RFC 4588 section 4.

package losslab

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/pion/rtp"
)

// A Packet is one UDP packet at one end of the link.
type Packet struct {
	At      time.Time
	Out     bool   // it left by this end; else it came in
	Port    uint16 // of the destination
	Size    int    // bytes of the IP packet
	Payload []byte // of UDP
}

// parseIP reads an IPv4 packet with UDP in it; ok is false for anything else and for a fragment.
// The payload is a part of b.
func parseIP(b []byte) (p Packet, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != 17 {
		return p, false
	}
	header, size := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || size < header+8 || size > len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return p, false
	}
	udp := b[header:size]
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if n < 8 || n > len(udp) {
		return p, false
	}
	return Packet{Port: binary.BigEndian.Uint16(udp[2:]), Size: size, Payload: udp[8:n]}, true
}

// mediaType and rtxType are the payload types of all runs.
const (
	mediaType = 96
	rtxType   = 97
)

// A mediaPacket is an RTP packet of a recording.
type mediaPacket struct {
	at       time.Duration // since the run began
	size     int           // bytes of the IP packet
	header   rtp.Header
	payload  []byte // VP8 and its descriptor
	datagram []byte // of UDP, to find it again at the other end
	repeated bool   // it repeats an earlier packet, or is RTX
}

// pickMedia picks the RTP out of a recording, in the order of time.
func pickMedia(packets []Packet, start time.Time) (out []mediaPacket) {
	type id struct {
		ssrc uint32
		seq  uint16
		ts   uint32 // tells packets of one number before and after a wrap apart
	}
	seen := map[id]bool{}
	for _, p := range packets {
		m := mediaPacket{at: p.At.Sub(start), size: p.Size, datagram: p.Payload}
		if p.Port != rtpPort || len(p.Payload) < 12 || p.Payload[0]>>6 != 2 {
			continue
		}
		n, err := m.header.Unmarshal(p.Payload)
		if err != nil || m.header.PayloadType != mediaType && m.header.PayloadType != rtxType {
			continue
		}
		m.payload = p.Payload[n:]
		if m.header.Padding && len(m.payload) > 0 {
			m.payload = m.payload[:max(len(m.payload)-int(m.payload[len(m.payload)-1]), 0)]
		}
		key := id{m.header.SSRC, m.header.SequenceNumber, m.header.Timestamp}
		m.repeated = seen[key] || m.header.PayloadType == rtxType
		seen[key] = true
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b mediaPacket) int { return int(a.at - b.at) })
	return out
}
