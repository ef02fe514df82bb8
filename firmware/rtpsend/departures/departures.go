// Package departures knows when each of the latest packets left and what became of it, and reports
// to the path's controller what the receiver's RTCP means.
//
// It stands between the Sender's two directions: packets that leave are noted here, and reports,
// requests, arrivals and echoes are matched with them. From both it knows whether the path has a
// queue, and whether it loses packets by chance. A Record owns its memory and its lock, allocates
// nothing and has no clock: times (CLOCK_MONOTONIC) are passed in. Sizes are bytes of IP packets,
// loss is a fraction from 0 to 1.
//
// Sources: draft-holmer-rmcat-transport-wide-cc-extensions-01 (transport-wide numbers), RFC 3550
// section 6.4.1 (reports), RFC 4585 section 6.2.1 (requests).
package departures

import (
	"sync"
	"time"
)

// A Path hears what leaves and what the receiver reports of it.
type Path interface {
	// NoteSent takes a packet, payload bytes of which are VP8 that was not sent before.
	NoteSent(now time.Duration, size, payload int)
	// NoteArrival takes when a packet arrived by the receiver's clock; EndArrivals ends a batch
	// of these. newest is when the latest packet that arrived had left, inFlight are the
	// bytes that left after it.
	NoteArrival(sent, arrived time.Duration, size int)
	EndArrivals(now, newest time.Duration, inFlight int)
	// NoteReport takes a reception report, by the latest packet that it names; acked are the
	// bytes of all packets up to it.
	NoteReport(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64)
	// NoteEcho takes an answer of the receiver's host to an echo request that left at sent,
	// after before bytes of packets; inFlight are the bytes that left after it.
	NoteEcho(now, sent time.Duration, before uint64, inFlight int)
	// NoteMissing takes a packet that the receiver lacks, once, and when it left.
	NoteMissing(now, sent time.Duration)
	// NoteEstimate takes the most that the receiver believes to be able to take, in bit/s.
	NoteEstimate(now time.Duration, bitrate float64)
	// NoteSmallerPackets says that packets were too large for the path and are smaller from now on:
	// what was lost of them says nothing of its rate.
	NoteSmallerPackets(now time.Duration)
}

// noPath is the Path of a Record that has none.
type noPath struct{}

func (noPath) NoteSent(time.Duration, int, int)                              {}
func (noPath) NoteArrival(time.Duration, time.Duration, int)                 {}
func (noPath) EndArrivals(time.Duration, time.Duration, int)                 {}
func (noPath) NoteReport(time.Duration, float64, time.Duration, int, uint64) {}
func (noPath) NoteEcho(time.Duration, time.Duration, uint64, int)            {}
func (noPath) NoteMissing(time.Duration, time.Duration)                      {}
func (noPath) NoteEstimate(time.Duration, float64)                           {}
func (noPath) NoteSmallerPackets(time.Duration)                              {}

// ringSize is how many packets are known: as many as can be asked for again. A power of two, so
// that a slot is the low bits of a number.
const ringSize = 1024

// A departure is one packet that left.
type departure struct {
	at      time.Duration
	upTo    uint64 // bytes that had left, it included
	size    int
	media   bool   // not a resend
	number  uint16 // its sequence number, if so
	arrived bool   // the receiver has said so
	missing bool   // it has said that the packet did not
	again   bool   // it left again with the same number: its arrival does not say which time
}

// A Record is a ring of the latest packets by transport-wide number, which counts resends too,
// with an index by sequence number of those that were media. Packets are noted by the goroutine
// that sends them, and everything else by any.
type Record struct {
	// mu guards all fields. The Path is called under it, because calls must come one at a time
	// and in the order of what happened. That is safe because it must neither call back nor
	// block.
	mu    sync.Mutex
	path  Path
	ring  [ringSize]departure
	media [ringSize]uint64 // low bits of a sequence number: number of the packet, + 1
	next  uint64           // number of the next packet
	total uint64           // bytes that left

	epoch, latest time.Duration // of arrivals, by the receiver's clock

	feedbackAt    time.Duration // when transport-wide feedback last came; 0: never
	newestArrived uint64        // number of the newest packet that arrived, + 1
	age           time.Duration // how old that was when its arrival was told
	emptyAge      time.Duration // how old it is then on an empty path
	lossShare     float64       // of the latest packets of media
	size          sizeWatch
	echoes        echoTimes
}

// NewRecord makes a Record that calls path; nil: nobody is called.
func NewRecord(path Path) *Record {
	if path == nil {
		path = noPath{}
	}
	return &Record{path: path}
}

// NextNumber is the transport-wide number that the next packet will have.
func (r *Record) NextNumber() uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint16(r.next)
}

// NoteMedia notes a packet that left for the first time, with payload bytes of VP8.
func (r *Record) NoteMedia(now time.Duration, size, payload int, sequence uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.noteDeparture(now, size)
	r.path.NoteSent(now, size, payload)
	r.media[sequence%ringSize] = r.next
	p.media, p.number = true, sequence
	r.lossShare -= r.lossShare / lossWindow
}

// NoteResend notes a packet that left again, with a transport-wide number of its own.
func (r *Record) NoteResend(now time.Duration, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteDeparture(now, size)
	r.path.NoteSent(now, size, 0)
}

// NoteVerbatim notes a packet that left again with the number of its first time: no number is
// missing if nothing is told of it.
func (r *Record) NoteVerbatim(now time.Duration, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total += uint64(size)
	r.path.NoteSent(now, size, 0)
}

// noteDeparture takes the number that NextNumber gave. mu is held.
func (r *Record) noteDeparture(now time.Duration, size int) *departure {
	r.total += uint64(size)
	p := &r.ring[r.next%ringSize]
	*p = departure{at: now, upTo: r.total, size: size}
	r.next++
	return p
}

// NoteAnswer notes that a packet is sent again with its number of the first time, because the
// receiver asked for it.
func (r *Record) NoteAnswer(sequence uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.findSequence(sequence); p != nil {
		p.again = true
	}
}

// BytesSent is how many have left.
func (r *Record) BytesSent() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// findNumber gives the packet with a number; nil: it is too old, or did not leave yet. mu is held.
func (r *Record) findNumber(number uint64) *departure {
	if number >= r.next || r.next-number > ringSize {
		return nil
	}
	return &r.ring[number%ringSize]
}

// findSequence gives the media packet with a sequence number; nil: it is too old, or did not leave
// yet: rtpbin asks for packets that it expects by now. mu is held.
func (r *Record) findSequence(sequence uint16) *departure {
	if n := r.media[sequence%ringSize]; n != 0 {
		if p := r.findNumber(n - 1); p != nil && p.media && p.number == sequence {
			return p
		}
	}
	return nil
}
