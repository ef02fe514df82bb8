// What is known of the one who sends to us (RFC 3550: a participant with its SSRC).

package receiver

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// reorderWindow is how many packets may overtake one: what comes within gapTimeout, after
// which a missing packet is given up, at 6 Mbit/s. At a lower rate the timeout ends first.
const reorderWindow = 128

// senderTimeout is when a sender that is silent counts as gone, so that another SSRC may take
// its place, and when the last picture is too old to call it streaming. A camera in the dark may
// go down to 5 fps.
const senderTimeout = 2 * time.Second

// A sender is one SSRC that sends to us. The Receiver's lock guards it.
type sender struct {
	ssrc        uint32
	payloadType uint8 // of its first packet; the protocol fixes none
	sequence    sequence
	assembler   *rtpvp8.Assembler
	delay       delayEstimate
	record      *record
	gaps        gapList
	arrivals    arrivals

	beganAt          time.Duration
	packetAt         time.Duration // the last RTP packet
	active           time.Duration // in which packets came
	goodFrameAt      time.Duration // the last frame that a decoder could show
	hasGoodFrame     bool
	broken           bool          // a frame that refers to one that no decoder can read is no use
	pliAt            time.Duration // the last PLI that we sent; 0: none
	reportMiddle     uint32        // of the last SR, for LSR
	reportAt         time.Duration
	byeLogged        bool
	ignoredByeLogged bool

	bytes, frames, keyFrames uint64
	damaged, brokenFrames    uint64
	nacks, healed, feedback  uint64
	delaySum                 time.Duration
	delayCount               uint64
	width, height            int
}

// isAlive says whether packets or reports came lately.
func (s *sender) isAlive(now time.Duration) bool {
	return now-max(s.packetAt, s.reportAt) < senderTimeout
}
