// What the Sender counted and what the receiver reported. Pure data.
// Spec: RFC 3550 section 6.4.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// Stats are counters since Open and the receiver's latest figures.
type Stats struct {
	Frames     uint64
	Packets    uint64 // taken by the kernel
	Octets     uint64 // of RTP payload in them, without headers (RFC 3550 section 6.4.1)
	SendErrors udp.Errors
	Discarded  uint64 // packets of a frame that neither the queue nor the owner's rate had room for
	Withheld   uint64 // frames that were not sent while the circuit was broken (RFC 8083)
	Breaks     uint64 // of the circuit

	ReportsSent   uint64 // SR or RR with SDES
	ReportErrors  udp.Errors
	ReceiveErrors uint64 // reading the RTCP socket failed

	Reports         uint64        // reception reports about our stream
	RTT             time.Duration // 0: not known yet
	Loss            float64       // 0 to 1, between the two latest reports
	Lost            int32         // packets since the start; below 0 if some arrived twice
	Jitter          time.Duration
	HighestSequence uint32 // received, with the count of wraps in the upper half

	Echoes            uint64 // answers of the receiver's host to our echo requests
	TransportFeedback uint64 // messages about each packet's arrival
	Estimates         uint64 // of what the receiver can take (REMB)

	NACKs      uint64 // packets of feedback; Resends counts what they asked for
	Resends    resend.Counts
	PLIs       uint64
	FIRs       uint64 // without repeats
	FIRRepeats uint64
	BYEs       uint64
	Ignored    Ignored
}

// Ignored counts RTCP that changed nothing, by cause: whole packets in the first five
// lines, parts of a compound in the last two.
type Ignored struct {
	Stranger  uint64 // not from the receiver's address
	TooLarge  uint64
	TooMany   uint64 // above the quotas of package admission: dropped unparsed
	Forged    uint64 // under SRTP: of another key, changed on its way, or sent before
	Malformed uint64
	OtherSSRC uint64 // about a stream that is not ours
	OtherType uint64 // valid, but nothing that we act on
}

// Stats returns a copy of what is known now.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}
