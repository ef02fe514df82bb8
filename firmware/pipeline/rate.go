// The frame rate of a stream: what the owner asked for, or the camera's own if that is slower. Pure.

package pipeline

import (
	"time"

	"github.com/krazycam/krazycam/firmware/config"
)

// A rate leaves out buffers of a camera that is faster than its stream: many cameras offer 30
// pictures a second and nothing else. The encoder must not get them: it spends the bits of at
// least half a nominal interval on each picture, so that 30 a second at --fps 5 came to three
// times the owner's bitrate.
type rate struct {
	streamInterval time.Duration // between two pictures of the stream; 0: no limit
	cameraInterval time.Duration // between two buffers, nominal
	due            time.Duration // capture time of the next picture
}

// newRate is for a camera with that time between two buffers. fps is what the owner asked for,
// 0 for whatever comes.
func newRate(cameraInterval time.Duration, fps int) rate {
	r := rate{streamInterval: cameraInterval, cameraInterval: cameraInterval}
	if fps > 0 {
		r.streamInterval = max(cameraInterval, time.Second/time.Duration(fps))
	}
	return r
}

// leavesOut says whether the buffer captured at the given time is one too many. The buffer
// nearest to the time that is due is taken, so that 20 of 30 stay 20. A camera within a tenth
// of the wish is left alone: cameras name 29.97 or 31 what they call 30.
func (r *rate) leavesOut(at time.Duration) bool {
	if r.cameraInterval >= r.streamInterval*9/10 {
		return false
	}
	if at < r.due-r.cameraInterval/2 && r.due-at <= r.streamInterval { // more than that is another clock
		return true
	}
	if at-r.due > r.streamInterval || r.due-at > r.streamInterval { // the first, or after a pause
		r.due = at
	}
	r.due += r.streamInterval
	return false
}

// encoderFPS is what the encoder is told. By it the encoder gives the first pictures their bits,
// and it takes everything above twice as much for a burst. It may be called while another
// goroutine calls leavesOut: streamInterval does not change.
func (r *rate) encoderFPS() int {
	if r.streamInterval <= 0 {
		return config.MaxFPS
	}
	return min(max(int((time.Second+r.streamInterval/2)/r.streamInterval), 1), config.MaxFPS)
}
