// RTCP to the far receiver: what time a time stamp is, a name, the end. Pure.
// Spec: RFC 3550 sections 6.4.1 (SR), 6.5.1 (CNAME), 6.6 (BYE); RFC 7022 (a CNAME that says nothing).

package packet

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// ReportInterval is that of sender reports. RFC 3550 section 6.2 allows 360 s divided by the
	// rate in kbit/s: 1.2 s for a stream of 300 kbit/s.
	ReportInterval = 2 * time.Second

	typeSR, typeSDES, typeBYE = 200, 202, 203
	itemCNAME                 = 1

	ntpEpoch = 2208988800 // s from 1900 to 1970
)

// A ClockPoint says when what stands in a time stamp was captured, or came if that is not known.
type ClockPoint struct {
	Stamp uint32
	At    time.Time
}

// A SenderReport is what one says.
type SenderReport struct {
	Now            time.Time
	Stamp          uint32 // of Now
	Packets, Bytes uint32 // Bytes without headers
	Bye            bool
}

// StampAt is the time stamp of what would be captured now.
func (p ClockPoint) StampAt(now time.Time) uint32 { return p.Stamp + ticks(now.Sub(p.At)) }

// NewCNAME is a random name (RFC 7022 section 4.2).
func NewCNAME() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// AppendReport puts an SR with SDES, and BYE at the end, behind dst.
func AppendReport(dst []byte, ssrc uint32, cname string, r SenderReport) []byte {
	dst = appendHeader(dst, 0, typeSR, 6, ssrc)
	dst = binary.BigEndian.AppendUint64(dst, ntp(r.Now))
	dst = binary.BigEndian.AppendUint32(dst, r.Stamp)
	dst = binary.BigEndian.AppendUint32(dst, r.Packets)
	dst = binary.BigEndian.AppendUint32(dst, r.Bytes)

	// A chunk is SSRC, items and at least one zero, up to a whole word.
	words := 1 + (2+len(cname))/4 + 1
	end := len(dst) + 4 + 4*words
	dst = appendHeader(dst, 1, typeSDES, words, ssrc)
	dst = append(dst, itemCNAME, byte(len(cname)))
	dst = append(dst, cname...)
	for len(dst) < end {
		dst = append(dst, 0)
	}
	if r.Bye {
		dst = appendHeader(dst, 1, typeBYE, 1, ssrc)
	}
	return dst
}

// appendHeader begins an RTCP packet; words is its length without the first.
func appendHeader(dst []byte, count, kind byte, words int, ssrc uint32) []byte {
	dst = append(dst, 0x80|count, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(words))
	return binary.BigEndian.AppendUint32(dst, ssrc)
}

// ntp is RFC 3550's 64 bits: seconds since 1900 and their fraction.
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
