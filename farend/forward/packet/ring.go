// The latest packets of a forwarding, for receivers that missed one.

package packet

import "time"

const (
	// ringSize packets are 6 s of a stream of 300 kbit/s, 1 s of one of 2 Mbit/s.
	ringSize = 256

	// Room is what is allotted for a packet at once: an Ethernet frame. A larger packet makes
	// its slot larger.
	Room = 1500

	// resendPause is the least time between two answers for one packet.
	resendPause = 20 * time.Millisecond

	// resendShare is how many packets may be sent again for each that is sent, over some time;
	// resendBurst is how many at once.
	resendShare = 0.5
	resendBurst = 64
)

// A Ring keeps packets as they were sent. It has 0.4 MB.
type Ring struct {
	slots  [ringSize]slot
	budget float64
}

type slot struct {
	packet   []byte // empty: none
	sequence uint16
	resentAt time.Time
}

// NewRing has room for packets of an Ethernet frame; larger ones make it larger.
func NewRing() *Ring {
	r := &Ring{budget: resendBurst}
	room := make([]byte, ringSize*Room)
	for i := range r.slots {
		r.slots[i].packet = room[i*Room : i*Room : (i+1)*Room]
	}
	return r
}

// Reserve gives the memory for a packet, to be written behind its start and given to Keep.
func (r *Ring) Reserve(sequence uint16) []byte { return r.slots[sequence%ringSize].packet[:0] }

// Keep takes a packet that was written into what Reserve gave.
func (r *Ring) Keep(sequence uint16, packet []byte) {
	s := &r.slots[sequence%ringSize]
	s.packet, s.sequence, s.resentAt = packet, sequence, time.Time{}
	r.budget = min(resendBurst, r.budget+resendShare)
}

// Resend gives a packet that may be sent again now; nil: it is gone, or went a moment ago, or
// receivers ask for too much.
func (r *Ring) Resend(sequence uint16, now time.Time) []byte {
	s := &r.slots[sequence%ringSize]
	if len(s.packet) == 0 || s.sequence != sequence || now.Sub(s.resentAt) < resendPause || r.budget < 1 {
		return nil
	}
	s.resentAt = now
	r.budget--
	return s.packet
}
