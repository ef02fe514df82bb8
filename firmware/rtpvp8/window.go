// The order of packets: holds those that overtook others until the gap is filled or
// given up. Spec: RFC 3550 appendix A.1.

package rtpvp8

import "math/bits"

// RFC 3550 appendix A.1: further ahead or behind than this, a sequence number
// belongs to a stray packet, or, if the next one follows it, to a new start.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

const maxReorder = 1024

// A packet is one payload without its descriptor.
type packet struct {
	seq        uint16
	ts         uint32
	marker     bool
	bad        bool // came, but holds no VP8
	descriptor descriptor
	data       []byte
}

// A window holds packets that came before they were due. Slots are found by the low
// bits of the sequence number, so their count is a power of two.
type window struct {
	slots   []packet // data is the slot's own memory, reused
	full    []bool
	held    int
	started bool
	next    uint16 // the sequence number that is due
	newest  uint16 // the highest one that came
	stray   bool   // strayNext is set
	// strayNext is what follows a packet that was too far away to be believed.
	strayNext uint16
}

func newWindow(size int) window {
	size = min(max(size, 1), maxReorder)
	size = 1 << bits.Len(uint(size-1))
	return window{slots: make([]packet, size), full: make([]bool, size)}
}

func (w *window) slotOf(seq uint16) int { return int(seq) & (len(w.slots) - 1) }

// keepCopy keeps a copy of p until it is due; false: it is here already.
func (w *window) keepCopy(p packet) bool {
	i := w.slotOf(p.seq)
	if w.full[i] {
		return false
	}
	p.data = append(w.slots[i].data[:0], p.data...)
	w.slots[i], w.full[i] = p, true
	w.held++
	return true
}

// releaseNext gives the packet that is due, if it is here; the one after it is due then.
func (w *window) releaseNext() (packet, bool) {
	i := w.slotOf(w.next)
	w.next++
	if !w.full[i] {
		return packet{}, false
	}
	w.full[i] = false
	w.held--
	return w.slots[i], true
}

// checkSequence says whether a packet this far ahead belongs to the stream. One from far
// away does only once a second one follows it, and starts the stream over.
func (w *window) checkSequence(seq uint16) (restart, ok bool) {
	ahead := int(int16(seq - w.next))
	if ahead < maxDropout && ahead > -maxMisorder {
		w.stray = false
		return false, true
	}
	if w.stray && seq == w.strayNext {
		w.stray = false
		return true, true
	}
	w.stray, w.strayNext = true, seq+1
	return false, false
}

// placePacket puts p in its place and takes what is now in order.
func (a *Assembler) placePacket(p packet) {
	w := &a.order
	if !w.started {
		w.started, w.next, w.newest = true, p.seq, p.seq-1
	}
	restart, ok := w.checkSequence(p.seq)
	if !ok {
		a.counters.Late++
		return
	}
	if restart {
		a.Flush()
		a.noteMissing(1) // the stray one
		w.next, w.newest = p.seq, p.seq-1
	}
	if int16(p.seq-w.next) < 0 {
		a.counters.Late++
		return
	}
	if int16(p.seq-w.newest) > 0 {
		w.newest = p.seq
	}
	a.giveUp(p.seq - uint16(len(w.slots)) + 1)
	if p.seq != w.next {
		if !w.keepCopy(p) {
			a.counters.Late++
		}
		return
	}
	w.next++
	a.takePacket(p)
	a.takeOrdered()
}

// takeOrdered takes the packets that wait in order.
func (a *Assembler) takeOrdered() {
	w := &a.order
	for w.held > 0 && w.full[w.slotOf(w.next)] {
		p, _ := w.releaseNext()
		a.takePacket(p)
	}
}

// giveUp makes seq the one that is due, past packets that did not come.
func (a *Assembler) giveUp(seq uint16) {
	w := &a.order
	for w.held > 0 && int16(seq-w.next) > 0 {
		if p, ok := w.releaseNext(); ok {
			a.takePacket(p)
		} else {
			a.noteMissing(1)
		}
	}
	if n := int16(seq - w.next); n > 0 {
		a.noteMissing(int(n))
		w.next = seq
	}
	a.takeOrdered()
}
