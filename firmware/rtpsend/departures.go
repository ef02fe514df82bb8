// When each of the latest packets left, to tell the path's controller what a receiver's
// words about it mean. Owns its memory; used by who sends and by who reads RTCP.

package rtpsend

import (
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
)

// A Path hears what leaves and what the receiver tells of it. Sizes are bytes of IP
// packets, times CLOCK_MONOTONIC. Calls come one at a time, from three goroutines, and
// must not block: the stream waits for them.
type Path interface {
	// Sent notes a packet, payload bytes of which are VP8 that was not sent before.
	Sent(now time.Duration, size, payload int)
	// Arrived notes when a packet arrived by the receiver's clock; Feedback ends a batch
	// of these. newest is when the latest packet that arrived had left, inFlight are the
	// bytes that left after it.
	Arrived(sent, arrived time.Duration, size int)
	Feedback(now, newest time.Duration, inFlight int)
	// Report notes a reception report, by the latest packet that it names; acked are the
	// bytes of all packets up to it.
	Report(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64)
	// Echoed notes that the receiver's host answered an echo request that left at sent,
	// after before bytes of packets; inFlight are the bytes that left after it.
	Echoed(now, sent time.Duration, before uint64, inFlight int)
	// Missing notes a packet that the receiver lacks, once, and when it left.
	Missing(now, sent time.Duration)
	// Estimate notes the most that the receiver believes that it can take, in bit/s.
	Estimate(now time.Duration, bitrate float64)
}

// deaf is the Path of a Sender that has none.
type deaf struct{}

func (deaf) Sent(time.Duration, int, int)                              {}
func (deaf) Arrived(time.Duration, time.Duration, int)                 {}
func (deaf) Feedback(time.Duration, time.Duration, int)                {}
func (deaf) Report(time.Duration, float64, time.Duration, int, uint64) {}
func (deaf) Echoed(time.Duration, time.Duration, uint64, int)          {}
func (deaf) Missing(time.Duration, time.Duration)                      {}
func (deaf) Estimate(time.Duration, float64)                           {}

// A departure is one packet that left.
type departure struct {
	at      time.Duration
	upTo    uint64 // bytes that had left, it included
	size    int
	media   bool   // not a resend
	number  uint16 // its sequence number, if so
	told    bool   // the receiver has said that it arrived
	missing bool   // or that it did not
	again   bool   // it left again with the same number: its arrival does not say which time
}

// departures is a ring of the latest packets by transport-wide number, which counts
// resends too, with an index by sequence number of those that were media.
type departures struct {
	mu    sync.Mutex
	path  Path
	ring  [resend.HistorySize]departure
	media [resend.HistorySize]uint64 // low bits of a sequence number: number of the packet, + 1
	n     uint64                     // the number of the next packet
	total uint64                     // bytes that left

	epoch, latest time.Duration // of arrivals, by the receiver's clock

	fedAt   time.Duration // when transport feedback last came; 0: never
	passed  uint64        // number of the newest packet that arrived, + 1
	age     time.Duration // how old it was when that was told
	usually time.Duration // how old it is on an empty path
	lost    float64       // share of the latest packets of media that the receiver lacks
	trip    roundTrip     // of echo requests
}

// number is what the next packet will have.
func (d *departures) number() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n
}

// left notes the packet with the number that number gave.
func (d *departures) left(now time.Duration, size, payload int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total += uint64(size)
	d.ring[d.n%resend.HistorySize] = departure{at: now, upTo: d.total, size: size}
	d.n++
	d.path.Sent(now, size, payload)
}

// leftAgain notes a packet that left with the number of its first time: no number is
// missing if nothing is told of it.
func (d *departures) leftAgain(now time.Duration, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total += uint64(size)
	d.path.Sent(now, size, 0)
}

// name notes that the packet before was media with that sequence number.
func (d *departures) name(sequence uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.media[sequence%resend.HistorySize] = d.n
	p := d.at(d.n - 1)
	p.media, p.number = true, sequence
	d.lost -= d.lost / lossMemory
}

// at is the packet of a number; nil: it is too old, or did not leave yet. mu is held.
func (d *departures) at(number uint64) *departure {
	if number >= d.n || d.n-number > resend.HistorySize {
		return nil
	}
	return &d.ring[number%resend.HistorySize]
}

// of is the media packet with a sequence number; nil: it is too old, or did not leave
// yet: rtpbin asks for packets that it expects by now. mu is held.
func (d *departures) of(sequence uint16) *departure {
	if n := d.media[sequence%resend.HistorySize]; n != 0 {
		if p := d.at(n - 1); p != nil && p.media && p.number == sequence {
			return p
		}
	}
	return nil
}

// reported hands on a reception report. It says nothing if its packet is not known.
func (d *departures) reported(now time.Duration, highest uint16, loss float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.of(highest); p != nil {
		d.path.Report(now, loss, p.at, int(d.total-p.upTo), p.upTo)
	}
}

// sum is how many bytes have left, and whether transport feedback tells of them.
func (d *departures) sum(now time.Duration) (bytes uint64, fed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total, d.fed(now)
}

// echoed hands on the answer to a request that left at sent, after before bytes.
func (d *departures) echoed(now, sent time.Duration, before uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trip.note(now, now-sent)
	d.path.Echoed(now, sent, before, int(d.total-before))
}

// estimated hands on how much the receiver believes to be able to take, bit/s.
func (d *departures) estimated(now time.Duration, bitrate float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.path.Estimate(now, bitrate)
}

// lacks hands on that the receiver asked for a packet, the first time. Who tells of
// each packet's arrival needs not: rtpbin asks for packets that are merely late, too.
// ok: age is how long ago it left.
func (d *departures) lacks(now time.Duration, sequence uint16) (age time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.of(sequence)
	if p == nil || d.fed(now) {
		return 0, false
	}
	d.miss(now, p)
	return now - p.at, true
}

// queued is how much older than on an empty path a packet is when its arrival is told,
// for late to be likelier than lost.
const queued = 60 * time.Millisecond

// drift is how much longer an empty path may have become from one feedback to the next,
// some tens a second: routes change.
const drift = 50 * time.Microsecond

// IsQueued tells that a packet that the receiver asks for most likely waits in a queue of
// the path: feedback tells of a queue, and no packet behind it has arrived yet. To send
// it again then makes the queue longer.
func (d *departures) IsQueued(now time.Duration, sequence uint16) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.media[sequence%resend.HistorySize]
	return d.fed(now) && d.queues(now) && n > d.passed && d.at(n-1) != nil
}

// queues tells that feedback shows a queue on the path, or echoes, if there is none. mu is held.
func (d *departures) queues(now time.Duration) bool {
	if d.fed(now) {
		return d.age > d.usually+queued
	}
	return now-d.trip.at < echoFresh && d.trip.late >= lateEchoes
}

// fed tells whether transport feedback comes. A receiver that sends none may have taken the
// place of one that did. mu is held.
func (d *departures) fed(now time.Duration) bool { return d.fedAt != 0 && now-d.fedAt < feedbackFresh }

// feedbackFresh is after how much silence nobody sends feedback any more, as in ratecontrol.
const feedbackFresh = 8 * time.Second

// NoteAnswer notes that a packet is sent again with its number of the first time, because the
// receiver asked for it.
func (d *departures) NoteAnswer(sequence uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.of(sequence); p != nil {
		p.again = true
	}
}

const (
	// echoFresh is how long an answer to an echo request tells of the path.
	echoFresh = 2 * time.Second
	// lateEchoes in a row are a queue: one says that the host, or a radio, slept.
	lateEchoes = 2
)

// A roundTrip is how long echoes take: the least, and how many of the latest were late.
type roundTrip struct {
	at, least time.Duration
	late      int
}

func (r *roundTrip) note(now, took time.Duration) {
	if r.least == 0 {
		r.least = took
	}
	r.at, r.least = now, min(took, r.least+echoDrift)
	if r.late++; took <= r.least+queued {
		r.late = 0
	}
}

// echoDrift is drift for echoes, of which there are fewer.
const echoDrift = 10 * drift

// miss is told of each packet once. mu is held.
func (d *departures) miss(now time.Duration, p *departure) {
	if !p.missing {
		p.missing = true
		if p.media {
			d.lost += 1. / lossMemory
		}
		d.path.Missing(now, p.at)
	}
}

// hearArrivals hands a message on to the path, packet by packet; false: it is not what it says.
func (d *departures) hearArrivals(now time.Duration, message *feedback.Arrivals) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fedAt = now
	var newest *departure
	for {
		packet, more, ok := message.Next()
		if !ok || !more {
			if newest != nil {
				d.age = now - newest.at
				if d.usually == 0 {
					d.usually = d.age
				}
				d.usually = min(d.age, d.usually+drift) // routes change
				d.path.Feedback(now, newest.at, int(d.total-newest.upTo))
			}
			return ok
		}
		n := d.numbered(packet.Number)
		p := d.at(n)
		switch {
		case p == nil || p.told: // told before, or not ours to know
		case packet.Received:
			p.told, d.passed = true, max(d.passed, n+1)
			if p.again { // it may be the answer to a request that arrived, a round trip later
				continue
			}
			if p.missing && p.media { // it was late
				d.lost = max(0, d.lost-1./lossMemory)
			}
			newest = p
			d.path.Arrived(p.at, d.unwrapped(packet.At), p.size)
		default:
			d.miss(now, p)
		}
	}
}

// numbered is the latest packet's number that ends in these 16 bits; that of one which
// did not leave if there is none. mu is held.
func (d *departures) numbered(number uint16) uint64 {
	age := uint64(uint16(d.n) - number)
	if age == 0 || age > d.n {
		return d.n
	}
	return d.n - age
}

// unwrapped puts an arrival behind the one before it: the reference time begins anew
// after 12 days. mu is held.
func (d *departures) unwrapped(arrived time.Duration) time.Duration {
	const period = feedback.ArrivalPeriod
	for arrived+d.epoch < d.latest-period/2 {
		d.epoch += period
	}
	d.latest = arrived + d.epoch
	return d.latest
}

const (
	// Where a packet in a hundred is lost, one key frame of six in seventeen is not whole:
	// below seldom it leaves once. Above often, a full queue is the likeliest cause
	// (ratecontrol's lossCut), and more packets make it worse.
	seldom, often = 0.01, 0.10

	// lossMemory is over how many packets that is judged: some 8 s of 30 frames a second, of
	// two packets each.
	lossMemory = 512
)

// LosesByChance tells whether the path loses packets, and no queue of it is to blame as far as is
// known. asked: the receiver asks for one, which is a sign of its own, unless it also tells
// what arrives: then it may be about one that is late.
func (d *departures) LosesByChance(now time.Duration, asked bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	lossy := d.lost >= seldom || asked && !d.fed(now)
	return lossy && d.lost <= often && !d.queues(now)
}
