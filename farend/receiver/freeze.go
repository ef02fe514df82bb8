// Freezes: how often viewers saw no new picture for a while. Pure.

package receiver

import (
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// A freeze is counted for one sender. Its zero value has seen no picture.
type freeze struct {
	count  uint64
	now    bool
	lostAt int64 // lost packets at the last picture
}

// notice looks whether a freeze has begun: pictures came, packets come, and no picture does.
func (f *freeze) notice(s *sender, now time.Duration) {
	if f.now || !s.hasGoodFrame || now-s.goodFrameAt < stream.FreezeMin || now-s.packetAt >= stream.FreezeMin {
		return
	}
	f.now = true
	f.count++
}

// end takes a picture that can be shown. If packets were lost on the way to it, the source sent all the
// time and the network did not carry it: that was a freeze, too, although nothing came.
func (f *freeze) end(s *sender, now time.Duration) {
	lost := s.sequence.lostCount()
	if !f.now && s.hasGoodFrame && now-s.goodFrameAt >= stream.FreezeMin && lost > f.lostAt {
		f.count++
	}
	f.now, f.lostAt = false, lost
}
