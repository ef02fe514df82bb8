// Whether packets are lost because they are too large for the path, by what the receiver says of them.

package departures

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
)

// requestLag: a receiver that asks for what it misses has done so after this time, and what it has not
// asked for by then has arrived.
const requestLag = 300 * time.Millisecond

// A sizeWatch hands the fate of packets to a judge.
type sizeWatch struct {
	judge    pathsize.Judge
	next     uint64 // the packet whose fate is told next, where requests are all there is
	tooLarge bool   // found, and not taken yet
}

// noteFate takes a packet of which arrivals were told.
func (w *sizeWatch) noteFate(p *departure, arrived bool) {
	if !arrived {
		w.judge.NoteLoss(p.at, p.size)
	} else if w.judge.NoteArrival(p.at, p.size) {
		w.tooLarge = true
	}
}

// judgeByRequests takes packets that are old enough for their request to have come. mu is held.
func (r *Record) judgeByRequests(now time.Duration) {
	w := &r.size
	if r.next > ringSize {
		w.next = max(w.next, r.next-ringSize)
	}
	for ; w.next < r.next && now-r.ring[w.next%ringSize].at > requestLag; w.next++ {
		if p := &r.ring[w.next%ringSize]; p.media {
			w.noteFate(p, !p.missing)
		}
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
