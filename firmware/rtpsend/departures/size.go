// Whether packets are lost because they are too large for the path, by what the receiver says of them.

package departures

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
)

// fateLag: what became of a packet is known after this time. A receiver that asks for what it misses has
// asked by then, and a round trip of the path later we know; one that reports arrivals has reported.
// GStreamer 1.22 leaves packets out of its feedback altogether that are lost between two messages.
const fateLag = 300 * time.Millisecond

// A sizeWatch hands the fate of packets to a judge.
type sizeWatch struct {
	judge    pathsize.Judge
	next     uint64 // the packet whose fate is told next
	tooLarge int    // bytes of the smallest packets that are; 0: none are found
}

// A SizeVerdict is what is known of the packets that left since their size last changed.
type SizeVerdict struct {
	TooLarge  int  // packets of so many bytes and more do not arrive for their size; 0: none is known
	Largest   int  // the largest that arrived
	LosesRuns bool // many in a row do not arrive, again and again
}

// noteFate takes what became of a packet.
func (w *sizeWatch) noteFate(p *departure, arrived bool) {
	if !arrived {
		w.judge.NoteLoss(p.at, p.size)
	} else if size := w.judge.NoteArrival(p.at, p.size); size > 0 {
		w.tooLarge = size
	}
}

// judgeByRequests takes packets that are old enough for their request to have come. What was sent again
// is not asked for under its own number. mu is held.
func (r *Record) judgeByRequests(now, roundTrip time.Duration) {
	r.judge(now-roundTrip, r.next, func(p *departure) {
		if p.media {
			r.size.noteFate(p, !p.missing)
		}
	})
}

// judgeByArrivals takes packets up to the newest that arrived. mu is held.
func (r *Record) judgeByArrivals(now time.Duration) {
	r.judge(now, r.newestArrived, func(p *departure) {
		if !p.again { // which time arrived, is not known
			r.size.noteFate(p, p.arrived)
		}
	})
}

// judge takes packets in order, up to a number and as far as their fate is known. mu is held.
func (r *Record) judge(now time.Duration, end uint64, take func(*departure)) {
	w := &r.size
	if r.next > ringSize {
		w.next = max(w.next, r.next-ringSize)
	}
	for ; w.next < end && now-r.ring[w.next%ringSize].at > fateLag; w.next++ {
		take(&r.ring[w.next%ringSize])
	}
}

// TakeSizeVerdict says what is known of packets and their size; TooLarge once.
func (r *Record) TakeSizeVerdict(now time.Duration) SizeVerdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.size
	v := SizeVerdict{TooLarge: w.tooLarge, Largest: w.judge.Largest(), LosesRuns: w.judge.LosesRuns(now)}
	w.tooLarge = 0
	return v
}

// NoteSmallerPackets says that packets are smaller from now on, because they were too large. The Path
// hears of it.
func (r *Record) NoteSmallerPackets(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judgeAnew()
	r.lossShare = 0
	r.path.NoteSmallerPackets(now)
}

// NoteLargerPackets says that they are larger from now on.
func (r *Record) NoteLargerPackets() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judgeAnew()
}

// judgeAnew forgets what became of packets of another size. mu is held.
func (r *Record) judgeAnew() { r.size = sizeWatch{next: r.next} }
