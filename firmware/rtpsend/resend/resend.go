// Package resend owns what a sender sends again: the packets that the receiver misses, and copies
// that nobody asked for where packets are lost by chance.
//
// A History keeps the latest packets, those that still wait for their first time included. A
// Resender decides which of them leave again, and when; the caller sends them. What a NACK asks
// for waits in Requests between the goroutine that reads RTCP and the one that sends. There is
// no socket, clock or lock in here: times (CLOCK_MONOTONIC) are passed in, and one goroutine at
// a time may call. Nothing is allocated once the first packet was made.
//
// Sources: RFC 4585 section 6.2.1 (NACK), RFC 4588 (RTX), RFC 3711 section 9.1 (no second use of
// a key stream).
package resend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pacing"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// bandwidthShare is the part of the bandwidth that may be sent again: with 20 % of packets
// lost it is enough, and with more of them lost, more packets make it worse.
const bandwidthShare = 0.25

// spareShare is the part of what may be sent again at once that copies of key frames leave to
// packets that the receiver asks for, which come first.
const spareShare = 0.5

// A Path says what is known of the way to the receiver.
type Path interface {
	// IsQueued says that a packet that the receiver asks for most likely waits in a queue.
	IsQueued(now time.Duration, sequence uint16) bool
	// LosesByChance says that packets are lost, and by no queue. asked: the receiver has just
	// asked for one.
	LosesByChance(now time.Duration, asked bool) bool
	// NoteAnswer notes that a packet leaves again, because the receiver asked for it, with the
	// transport-wide number of its first time.
	NoteAnswer(sequence uint16)
}

// A Config says how packets leave again.
type Config struct {
	Bandwidth int // bit/s of the stream, of which a quarter may be sent again

	// Verbatim: packets leave again with the transport-wide number of their first time. Under
	// SRTP the same index must authenticate the same bytes, or AES-GCM gives its key away, and
	// encrypt the same bytes, so that this is no second use of the key stream. RTX packets have
	// an index of their own.
	Verbatim bool

	RTX         bool // packets leave again as RTX packets, with the next two
	RTXSSRC     uint32
	RTXSequence uint16 // of the first
}

// A Packet is one that is to leave again. Its bytes are the Resender's until the next call.
type Packet struct {
	Bytes    []byte
	Verbatim bool // see Config; else it needs a new transport-wide number
	isCopy   bool // nobody asked for it
}

// Counts are packets that the receiver asked for, and what became of them.
type Counts struct {
	Asked   uint64
	Sent    uint64
	Octets  uint64 // of RTP payload in those sent, without headers
	Gone    uint64 // older than the history, or never sent
	Early   uint64 // sent again so short a time ago that the answer is on its way, or late rather than lost
	Limited uint64 // above 25 % of the bandwidth, above the owner's rate, or too many at once; also copies
	Twice   uint64 // of those sent, copies that nobody had asked for
}

// Add adds what another one counted.
func (c *Counts) Add(more Counts) {
	c.Asked += more.Asked
	c.Sent += more.Sent
	c.Octets += more.Octets
	c.Gone += more.Gone
	c.Early += more.Early
	c.Limited += more.Limited
	c.Twice += more.Twice
}

// A Resender decides for one stream.
type Resender struct {
	history *History
	path    Path
	cfg     Config
	bucket  pacing.Bucket // of bytes that may be sent again
	copies  copies
	counts  Counts

	requests Requests // taken, of which answered have an answer
	answered int
	rtt      time.Duration // 0: not known

	rtxSequence uint16 // of the next RTX packet
	rtxBytes    [packet.MaxSize]byte
}

// New makes a Resender of packets in a history.
func New(history *History, path Path, cfg Config) *Resender {
	rate := byteRate(cfg.Bandwidth)
	return &Resender{
		history: history, path: path, cfg: cfg,
		// A lost key frame passes at once: a second's worth.
		bucket:      pacing.NewBucket(rate, max(rate, 8*packet.MaxSize)),
		rtxSequence: cfg.RTXSequence,
	}
}

// byteRate is how many bytes a second may be sent again.
func byteRate(bandwidth int) float64 { return float64(bandwidth) / 8 * bandwidthShare }

// SetBandwidth bounds resends for a stream of bandwidth bit/s from now on.
func (r *Resender) SetBandwidth(now time.Duration, bandwidth int) {
	r.bucket.SetRate(now, byteRate(bandwidth))
}

// TakeRequests empties requests, which NextAnswer answers from now on. rtt is the round trip; 0:
// not known.
func (r *Resender) TakeRequests(requests *Requests, rtt time.Duration) {
	r.requests, r.answered, r.rtt = *requests, 0, rtt
	requests.n = 0
}

// NextAnswer gives the next packet that the receiver asked for, of at most room bytes; not ok: there is
// no other.
func (r *Resender) NextAnswer(now time.Duration, room int) (p Packet, ok bool) {
	for r.answered < r.requests.n {
		sequence := r.requests.list[r.answered]
		r.answered++
		b, e := r.history.findSent(sequence)
		switch {
		case b == nil:
			r.counts.Gone++
		case r.isAnswered(e, now), r.path.IsQueued(now, sequence):
			r.counts.Early++
		case len(b) > room || !r.bucket.TakeBytes(now, len(b)):
			r.counts.Limited++
		default:
			e.doubled = !e.asked && r.path.LosesByChance(now, true) && r.copies.addCopy(now, sequence, true)
			e.asked, e.resent, e.resentAt = true, true, now
			if r.cfg.Verbatim {
				r.path.NoteAnswer(sequence)
			}
			return r.wrapPacket(b, false), true
		}
	}
	return Packet{}, false
}

// isAnswered says that an answer is on its way: a receiver that asks within a round trip has not
// yet seen it. Half a round trip, unless two are on their way: jitter is in the figure, and to
// be wrong costs a packet, not a frame.
func (r *Resender) isAnswered(e *entry, now time.Duration) bool {
	age := now - e.resentAt
	return e.resent && (age < r.rtt/2 || e.doubled && age < r.rtt)
}

// QueueCopy notes that the packet that leaves at now is to leave a second time, unasked.
func (r *Resender) QueueCopy(now time.Duration, sequence uint16) {
	r.copies.addCopy(now, sequence, false)
}

// NextCopy gives the next copy that is due, of at most room bytes and within the bounds of what is
// asked for. Not ok: none is; the next one is due after wait, 0: there is none.
func (r *Resender) NextCopy(now time.Duration, room int) (p Packet, wait time.Duration, ok bool) {
	for {
		c, ok := r.copies.takeDue(now)
		if !ok {
			return Packet{}, r.copies.nextWait(now), false
		}
		b, e := r.history.findSent(c.sequence)
		if b == nil { // overwritten since
			continue
		}
		if !c.asked && e.asked { // asked for meanwhile: two are on their way already
			continue
		}
		spare := spareShare
		if c.asked {
			spare = 0
		}
		if len(b) > room || !r.bucket.TakeSpareBytes(now, len(b), spare) {
			r.counts.Limited++
			e.doubled = false
			continue
		}
		e.doubled, e.resent, e.resentAt = true, true, now // a receiver that asks within a round trip has not seen it
		return r.wrapPacket(b, true), 0, true
	}
}

// wrapPacket makes the packet that leaves again of one in the history.
func (r *Resender) wrapPacket(b []byte, isCopy bool) Packet {
	if r.cfg.RTX {
		b = packet.WrapRTX(r.rtxBytes[:], b, r.rtxSequence, r.cfg.RTXSSRC)
		r.rtxSequence++
	}
	return Packet{Bytes: b, Verbatim: r.cfg.Verbatim, isCopy: isCopy}
}

// NoteSent counts a packet that left, with octets of payload.
func (r *Resender) NoteSent(p Packet, octets uint64) {
	r.counts.Sent++
	r.counts.Octets += octets
	if p.isCopy {
		r.counts.Twice++
	}
}

// TakeCounts gives what was counted since the last call.
func (r *Resender) TakeCounts() Counts {
	counts := r.counts
	r.counts = Counts{}
	return counts
}
