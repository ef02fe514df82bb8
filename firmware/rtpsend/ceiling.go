// The owner's rate as a bound of all that leaves: packets wait for it, and pictures are held before
// they are encoded where their packets would have to. No allocation.

package rtpsend

import (
	"math"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/pacing"
)

const (
	// keyFrameShare is how many frames a key frame is reckoned as before its size is known.
	keyFrameShare = 3

	// copyReserve of the owner's rate is kept for pictures where copies of packets want to leave.
	copyReserve = 200 * time.Millisecond

	// frameMemory is how many frames the mean size is that of, about.
	frameMemory = 16
)

// A Ceiling bounds what leaves in any 2 s, by all Senders that have it, one after the other.
type Ceiling = pacing.Ceiling

// NewCeiling bounds what leaves to bitrate bit/s of IP packets, and a few percent more.
func NewCeiling(bitrate int) *Ceiling { return pacing.NewCeiling(bitrate) }

// A ceiling is a Ceiling with the size of the frames to come.
type ceiling struct {
	*Ceiling
	mean float64 // bytes on the wire of a frame that is no key frame
}

func newCeiling(c *Ceiling) ceiling {
	const frames = 60 // in a span, until the stream's own are known
	return ceiling{c, float64(c.Limit()) / frames}
}

// noteFrame takes a frame that will be size bytes on the wire.
func (c *ceiling) noteFrame(size int, key bool) {
	if !key {
		c.mean += (float64(size) - c.mean) / frameMemory
	}
}

// sizeOnWire is the size of an RTP packet with what it grows by, and IP and UDP headers.
func (s *Sender) sizeOnWire(packet int) int {
	size := packet + s.wire.headerSize
	if s.cfg.srtp != nil {
		size += s.cfg.srtp.growth
	}
	return size
}

// waitingOnWire is what the packets that wait will be on the wire. sending is held.
func (s *Sender) waitingOnWire() int {
	h := s.queue.history
	return h.WaitingBytes() + h.Waiting()*s.sizeOnWire(0)
}

// roomForResends is how large a packet of the history may be that leaves again now. sending is held.
func (s *Sender) roomForResends(now time.Duration) int {
	room, limited := s.ceiling.Room(now)
	if !limited {
		return math.MaxInt
	}
	return room - s.wire.headerSize - s.queue.overhead
}

// roomForCopies is that for a packet that nobody asked for. Pictures come first: one that is held is
// missing for certain, while a packet that leaves once mostly arrives. sending is held.
func (s *Sender) roomForCopies(now time.Duration) int {
	return s.roomForResends(now) - int(float64(s.ceiling.Limit())*copyReserve.Seconds()/pacing.CeilingSpan.Seconds())
}

// MustHold says that the picture at hand is to be left out, because its packets would have to wait:
// with them more than the owner's rate would leave within 2 s.
func (s *Sender) MustHold() bool {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	key := s.keyFrames.isPending()
	s.mu.Unlock()
	s.sending.Lock()
	defer s.sending.Unlock()
	room, limited := s.ceiling.Room(now)
	if !limited {
		return false
	}
	frame := s.ceiling.mean
	if key {
		frame *= keyFrameShare
	}
	// A few large pictures a second may be more than ever has room: half is free before long, although
	// an echo request always has left.
	return room < s.waitingOnWire()+min(int(frame), s.ceiling.Limit()/2)
}
