// RTCP to the far receiver: what time a time stamp is, a name, the end. Pure.
// Spec: RFC 3550 sections 6.4.1 (SR), 6.5.1 (CNAME), 6.6 (BYE); RFC 7022 (a CNAME that says nothing).

package forward

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// reportInterval is that of sender reports. RFC 3550 section 6.2 allows 360 s divided by the
	// rate in kbit/s: 1.2 s for a stream of 300 kbit/s.
	reportInterval = 2 * time.Second

	typeSR, typeSDES, typeBYE = 200, 202, 203
	itemCNAME                 = 1

	ntpEpoch = 2208988800 // s from 1900 to 1970
)

// A clockPoint says when what stands in a time stamp was captured, or came if that is not known.
type clockPoint struct {
	stamp uint32
	at    time.Time
}

// A senderReport is what one says.
type senderReport struct {
	now            time.Time
	stamp          uint32 // of now
	packets, bytes uint32
	bye            bool
}

// stampOf is the time stamp of what would be captured now.
func (p clockPoint) stampOf(now time.Time) uint32 { return p.stamp + ticks(now.Sub(p.at)) }

func newCNAME() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// appendReport puts an SR with SDES, and BYE at the end, behind dst.
func appendReport(dst []byte, ssrc uint32, cname string, r senderReport) []byte {
	dst = appendHeader(dst, 0, typeSR, 6, ssrc)
	dst = binary.BigEndian.AppendUint64(dst, ntp(r.now))
	dst = binary.BigEndian.AppendUint32(dst, r.stamp)
	dst = binary.BigEndian.AppendUint32(dst, r.packets)
	dst = binary.BigEndian.AppendUint32(dst, r.bytes)

	// A chunk is SSRC, items and at least one zero, up to a whole word.
	words := 1 + (2+len(cname))/4 + 1
	end := len(dst) + 4 + 4*words
	dst = appendHeader(dst, 1, typeSDES, words, ssrc)
	dst = append(dst, itemCNAME, byte(len(cname)))
	dst = append(dst, cname...)
	for len(dst) < end {
		dst = append(dst, 0)
	}
	if r.bye {
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
