// The latest packets of a forwarding, for receivers that missed one.

package forward

import "time"

const (
	// ringSize packets are 6 s of a stream of 300 kbit/s, 1 s of one of 2 Mbit/s.
	ringSize = 256

	// packetRoom is what is allotted for a packet at once: an Ethernet frame. A larger packet makes
	// its slot larger.
	packetRoom = 1500

	// resendPause is the least time between two answers for one packet.
	resendPause = 20 * time.Millisecond

	// resendShare is how many packets may be sent again for each that is sent, over some time;
	// resendBurst is how many at once.
	resendShare = 0.5
	resendBurst = 64
)

// A ring keeps packets as they were sent. The sink's lock guards it.
type ring struct {
	slots  [ringSize]slot
	budget float64
}

type slot struct {
	packet   []byte // empty: none
	sequence uint16
	resentAt time.Time
}

func newRing() *ring {
	r := &ring{budget: resendBurst}
	room := make([]byte, ringSize*packetRoom)
	for i := range r.slots {
		r.slots[i].packet = room[i*packetRoom : i*packetRoom : (i+1)*packetRoom]
	}
	return r
}

// reserve gives the memory for a packet, to be written behind its start and given to keep.
func (r *ring) reserve(sequence uint16) []byte { return r.slots[sequence%ringSize].packet[:0] }

func (r *ring) keep(sequence uint16, packet []byte) {
	s := &r.slots[sequence%ringSize]
	s.packet, s.sequence, s.resentAt = packet, sequence, time.Time{}
	r.budget = min(resendBurst, r.budget+resendShare)
}

// resend gives a packet that may be sent again now; nil: it is gone, or went a moment ago, or
// receivers ask for too much.
func (r *ring) resend(sequence uint16, now time.Time) []byte {
	s := &r.slots[sequence%ringSize]
	if len(s.packet) == 0 || s.sequence != sequence || now.Sub(s.resentAt) < resendPause || r.budget < 1 {
		return nil
	}
	s.resentAt = now
	r.budget--
	return s.packet
}
