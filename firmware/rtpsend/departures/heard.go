// What the receiver and its host say of packets that left, on its way to the Path.

package departures

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

// NoteReport hands on a reception report. A report about a packet that is not known is dropped.
func (r *Record) NoteReport(now time.Duration, highest uint16, loss float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.findSequence(highest); p != nil {
		r.path.NoteReport(now, loss, p.at, int(r.total-p.upTo), p.upTo)
	}
}

// NoteEcho hands on the answer to a request that left at sent, after before bytes.
func (r *Record) NoteEcho(now, sent time.Duration, before uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.echoes.noteEcho(now, now-sent)
	r.path.NoteEcho(now, sent, before, int(r.total-before))
}

// NoteEstimate hands on how much the receiver believes to be able to take, bit/s.
func (r *Record) NoteEstimate(now time.Duration, bitrate float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.path.NoteEstimate(now, bitrate)
}

// NoteRequest hands on that the receiver asked for a packet, the first time. Requests do not count
// where transport-wide feedback says what is missing: rtpbin asks for packets that are merely late,
// too. roundTrip is the path's; 0: not known. ok: age is how long ago the packet left.
func (r *Record) NoteRequest(now, roundTrip time.Duration, sequence uint16) (age time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.findSequence(sequence)
	if p == nil || r.hasFeedback(now) {
		return 0, false
	}
	r.markMissing(now, p)
	r.judgeByRequests(now, roundTrip)
	return now - p.at, true
}

// NoteArrivals hands on a message, packet by packet; false: it is not what it says. What it said
// before that is believed all the same.
func (r *Record) NoteArrivals(now time.Duration, message *feedback.Arrivals) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feedbackAt = now
	var newest *departure
	for {
		packet, more, ok := message.Next()
		if !ok || !more {
			if newest != nil {
				r.noteAge(now - newest.at)
				r.path.EndArrivals(now, newest.at, int(r.total-newest.upTo))
				r.judgeByArrivals(now)
			}
			return ok
		}
		n := r.fullNumber(packet.Number)
		p := r.findNumber(n)
		switch {
		case p == nil || p.arrived: // told before, or not ours to know
		case packet.Received:
			p.arrived, r.newestArrived = true, max(r.newestArrived, n+1)
			if p.again { // it may be the answer to a request that arrived, a round trip later
				continue
			}
			if p.missing && p.media { // it was late
				r.lossShare = max(0, r.lossShare-1./lossWindow)
			}
			newest = p
			r.path.NoteArrival(p.at, r.unwrapArrival(packet.At), p.size)
		default:
			r.markMissing(now, p)
		}
	}
}

// markMissing hands each packet on once. mu is held.
func (r *Record) markMissing(now time.Duration, p *departure) {
	if p.missing {
		return
	}
	p.missing = true
	if p.media {
		r.lossShare += 1. / lossWindow
	}
	r.path.NoteMissing(now, p.at)
}

// fullNumber is the latest packet's number that ends in these 16 bits; that of one which
// did not leave if there is none. mu is held.
func (r *Record) fullNumber(number uint16) uint64 {
	age := uint64(uint16(r.next) - number)
	if age == 0 || age > r.next {
		return r.next
	}
	return r.next - age
}

// unwrapArrival puts an arrival behind the one before it: the reference time begins anew
// after 12 days. mu is held.
func (r *Record) unwrapArrival(arrived time.Duration) time.Duration {
	const period = feedback.ArrivalPeriod
	for arrived+r.epoch < r.latest-period/2 {
		r.epoch += period
	}
	r.latest = arrived + r.epoch
	return r.latest
}
