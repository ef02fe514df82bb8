// The latest packets, as they were made: what waits to be sent and what may have to be
// sent again. Owns one block of memory for its life. Spec: RFC 4585 section 6.2.1.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// historySize is how many packets can be asked for again: 10 s at 600 kbit/s, of
// which a receiver can use the last second or two. A power of two, so that a slot
// is the low bits of a sequence number, across the wrap, too.
const historySize = 1024

// An entry is what is known of the packet in one slot.
type entry struct {
	sequence uint16
	size     uint16 // bytes; 0: the slot was never used
	twice    bool   // it is to leave twice
	asked    bool   // by the receiver
	resent   bool
	resentAt time.Duration
}

// A history is a ring of packets by sequence number, 1.5 MB from the first packet on. Those from next on were made and
// not sent yet: history and queue are one, so that a packet is written once.
type history struct {
	memory  []byte // historySize slots of packet.MaxSize bytes; made with the first packet
	entries [historySize]entry
	next    uint16 // the packet to send next
	waiting int    // packets from next on
	queued  int    // bytes in them
}

func newHistory(first uint16) *history {
	return &history{next: first}
}

func (h *history) slot(sequence uint16) []byte {
	at := int(sequence%historySize) * packet.MaxSize
	return h.memory[at : at+packet.MaxSize : at+packet.MaxSize]
}

// room is where the packet after those that wait is written to, and its number. The
// packet that was there is forgotten.
func (h *history) room() (b []byte, sequence uint16) {
	if h.memory == nil {
		h.memory = make([]byte, historySize*packet.MaxSize)
	}
	sequence = h.next + uint16(h.waiting)
	h.entries[sequence%historySize].size = 0
	return h.slot(sequence), sequence
}

// full tells that room would overwrite a packet that still waits.
func (h *history) full() bool { return h.waiting == historySize }

// add queues the packet of size bytes that was written to room; twice: it is to leave twice.
func (h *history) add(size int, twice bool) {
	sequence := h.next + uint16(h.waiting)
	h.entries[sequence%historySize] = entry{sequence: sequence, size: uint16(size), twice: twice}
	h.waiting++
	h.queued += size
}

// peek is the packet whose turn it is; nil: none waits.
func (h *history) peek() []byte {
	if h.waiting == 0 {
		return nil
	}
	return h.slot(h.next)[:h.entries[h.next%historySize].size]
}

// pass notes that the packet of peek was sent; twice: it is to leave a second time.
func (h *history) pass() (twice bool) {
	e := &h.entries[h.next%historySize]
	h.queued -= int(e.size)
	h.next++
	h.waiting--
	return e.twice
}

// find gives a packet that was sent, and what is known of it; nil: it is not here.
func (h *history) find(sequence uint16) ([]byte, *entry) {
	e := &h.entries[sequence%historySize]
	// What waits is ahead of next by less than waiting.
	if e.size == 0 || e.sequence != sequence || int(sequence-h.next) < h.waiting {
		return nil, nil
	}
	return h.slot(sequence)[:e.size], e
}
