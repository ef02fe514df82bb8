// Whether packets are lost because they are too large for the path, by what the receiver says of them.

package departures

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
)

// fateLag: what became of a packet is known after this time. A receiver that asks for what it misses has
// asked by then; one that reports arrivals has reported. GStreamer 1.22 leaves packets out of its
// feedback altogether that are lost between two messages.
const fateLag = 300 * time.Millisecond

// A sizeWatch hands the fate of packets to a judge.
type sizeWatch struct {
	judge    pathsize.Judge
	next     uint64 // the packet whose fate is told next
	tooLarge bool   // found, and not taken yet
}

// noteFate takes what became of a packet.
func (w *sizeWatch) noteFate(p *departure, arrived bool) {
	if !arrived {
		w.judge.NoteLoss(p.at, p.size)
	} else if w.judge.NoteArrival(p.at, p.size) {
		w.tooLarge = true
	}
}

// judgeByRequests takes packets that are old enough for their request to have come. What was sent again
// is not asked for under its own number. mu is held.
func (r *Record) judgeByRequests(now time.Duration) {
	r.judge(now, r.next, func(p *departure) {
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

// TakeTooLarge says, once, that size is what keeps packets from arriving. The Path hears of it.
func (r *Record) TakeTooLarge(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.size.tooLarge {
		return false
	}
	r.noteSmallerPackets(now)
	return true
}

// NoteSmallerPackets is for a sender that has found it by other signs.
func (r *Record) NoteSmallerPackets(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteSmallerPackets(now)
}

func (r *Record) noteSmallerPackets(now time.Duration) {
	r.size = sizeWatch{next: r.next}
	r.lossShare = 0
	r.path.NoteSmallerPackets(now)
}
