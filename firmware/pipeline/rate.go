// The rate of a stream: what the owner asked for, or the camera's own if that is slower. Pure.

package pipeline

import (
	"time"

	"github.com/krazycam/krazycam/firmware/config"
)

// A rate leaves out buffers of a camera that is faster than its stream: many offer
// 30 pictures a second and nothing else. The encoder must not get them: it spends
// the bits of half a nominal interval on each picture at least, so that 30 a second
// at --fps 5 came to three times the owner's bitrate.
type rate struct {
	wanted time.Duration // between two pictures of the stream; 0: no limit
	camera time.Duration // between two buffers, nominal
	due    time.Duration // capture time of the next picture
}

// newRate is for a camera with that time between two buffers. fps is what the owner
// asked for, 0 for whatever comes.
func newRate(camera time.Duration, fps int) rate {
	r := rate{wanted: camera, camera: camera}
	if fps > 0 {
		r.wanted = max(camera, time.Second/time.Duration(fps))
	}
	return r
}

// surplus tells whether the buffer captured at the given time is one too many. The
// one nearest to the time that is due is taken, so that 20 of 30 stay 20. A camera
// within a tenth of the wish is left alone: cameras name 29.97 or 31 what they call 30.
func (r *rate) surplus(at time.Duration) bool {
	if r.camera >= r.wanted*9/10 {
		return false
	}
	if at < r.due-r.camera/2 && r.due-at <= r.wanted { // more than that is another clock
		return true
	}
	if at-r.due > r.wanted || r.due-at > r.wanted { // the first, or after a pause
		r.due = at
	}
	r.due += r.wanted
	return false
}

// fps is what the encoder is told: it gives the first pictures their bits by it and
// takes everything above twice as much for a burst. It may be called while another
// goroutine asks for surplus: wanted does not change.
func (r *rate) fps() int {
	if r.wanted <= 0 {
		return config.MaxFPS
	}
	return min(max(int((time.Second+r.wanted/2)/r.wanted), 1), config.MaxFPS)
}
