// The latest packets, as they were made: what waits to be sent and what may have to be
// sent again. Owns one block of memory for its life.

package resend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// HistorySize is how many packets can be asked for again: 10 s at 600 kbit/s, of
// which a receiver can use the last second or two. A power of two, so that a slot
// is the low bits of a sequence number, across the wrap, too.
const HistorySize = 1024

// An entry is what is known of the packet in one slot. A packet leaves for the first time, then
// again when the receiver asks for it, and perhaps as a copy of either time.
type entry struct {
	sequence uint16
	size     uint16 // bytes; 0: the slot was never used
	doubled  bool   // a copy of its latest time waits, or has left
	asked    bool   // by the receiver
	resent   bool   // it has left again
	resentAt time.Duration
}

// A History is a ring of packets by sequence number, 1.5 MB from the first packet on. Those from
// next on were made and not sent yet: history and queue are one, so that a packet is written
// once.
type History struct {
	memory  []byte // HistorySize slots of packet.MaxSize bytes; made with the first packet
	entries [HistorySize]entry
	next    uint16 // the packet to send next
	waiting int    // packets from next on
	queued  int    // bytes in them
}

// NewHistory numbers packets from first on.
func NewHistory(first uint16) *History { return &History{next: first} }

func (h *History) slotOf(sequence uint16) []byte {
	at := int(sequence%HistorySize) * packet.MaxSize
	return h.memory[at : at+packet.MaxSize : at+packet.MaxSize]
}

// Reserve gives room for the packet after those that wait, and its sequence number. The packet
// that was there is forgotten.
func (h *History) Reserve() (b []byte, sequence uint16) {
	if h.memory == nil {
		h.memory = make([]byte, HistorySize*packet.MaxSize)
	}
	sequence = h.next + uint16(h.waiting)
	h.entries[sequence%HistorySize].size = 0
	return h.slotOf(sequence), sequence
}

// IsFull says that Reserve would overwrite a packet that still waits.
func (h *History) IsFull() bool { return h.waiting == HistorySize }

// QueuePacket lets the packet of size bytes that was written to Reserve's room wait. doubled: it
// is to leave twice.
func (h *History) QueuePacket(size int, doubled bool) {
	sequence := h.next + uint16(h.waiting)
	h.entries[sequence%HistorySize] = entry{sequence: sequence, size: uint16(size), doubled: doubled}
	h.waiting++
	h.queued += size
}

// Waiting is how many packets wait; WaitingBytes is how large they are together.
func (h *History) Waiting() int      { return h.waiting }
func (h *History) WaitingBytes() int { return h.queued }

// NextSequence is the number of the packet that leaves next.
func (h *History) NextSequence() uint16 { return h.next }

// PeekNext is the packet that leaves next; nil: none waits.
func (h *History) PeekNext() []byte {
	if h.waiting == 0 {
		return nil
	}
	return h.slotOf(h.next)[:h.entries[h.next%HistorySize].size]
}

// PopNext notes that the packet of PeekNext leaves, and gives what QueuePacket was told of it.
func (h *History) PopNext() (sequence uint16, doubled bool) {
	sequence = h.next
	e := &h.entries[sequence%HistorySize]
	h.queued -= int(e.size)
	h.next++
	h.waiting--
	return sequence, e.doubled
}

// ForgetSent forgets the packets that have left: none of them leaves again.
func (h *History) ForgetSent() {
	for i := range h.entries {
		if e := &h.entries[i]; int(e.sequence-h.next) >= h.waiting {
			e.size = 0
		}
	}
}

// findSent gives a packet that has left, and what is known of it; nil: it is not here.
func (h *History) findSent(sequence uint16) ([]byte, *entry) {
	e := &h.entries[sequence%HistorySize]
	// What waits is ahead of next by less than waiting.
	if e.size == 0 || e.sequence != sequence || int(sequence-h.next) < h.waiting {
		return nil, nil
	}
	return h.slotOf(sequence)[:e.size], e
}
