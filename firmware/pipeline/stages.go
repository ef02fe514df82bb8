// What the stages did and how long it took: counters, written for each picture by the pipeline's
// goroutines, read by anyone.

package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/ratecontrol"
	"github.com/krazycam/krazycam/v4l2"
)

// A Stage sums up the time that one stage of the pipeline took.
type Stage struct {
	count, total atomic.Int64 // pictures, nanoseconds
}

// Count is how many pictures or buffers the stage has done.
func (s *Stage) Count() int64 { return s.count.Load() }

// add counts one picture that took d.
func (s *Stage) add(d time.Duration) {
	s.count.Add(1)
	s.total.Add(int64(d))
}

// addSince counts one picture that took from start until now and returns now.
func (s *Stage) addSince(start time.Duration) (now time.Duration) {
	now = v4l2.Now()
	s.add(now - start)
	return now
}

// Stages counts what happened to the pictures of one camera, stage by stage. All of it may be
// read at any time, from any goroutine.
type Stages struct {
	Wait    Stage // start of exposure until the buffer is taken up
	Convert Stage // buffer to picture
	Encode  Stage // picture to frame
	Send    Stage // frame to packets handed to the kernel

	Frames, KeyFrames, Bytes atomic.Int64 // sent

	Usable atomic.Int64 // buffers not known to be undecodable, also while nobody wants pictures

	// Buffers and pictures that became no frame.
	Surplus    atomic.Int64 // buffers of a camera that is faster than the stream
	Shed       atomic.Int64 // buffers left out because the board is too slow for all of them
	Unreadable atomic.Int64 // buffers that held no whole JPEG
	Replaced   atomic.Int64 // pictures that a newer one replaced before the encoder was free
	Held       atomic.Int64 // pictures left out because the network or the owner's rate was full
	Skipped    atomic.Int64 // pictures that the encoder's rate control left out

	Rate    atomic.Int64                     // bit/s that the network allows at present; 0: the owner's
	Cuts    [ratecontrol.Causes]atomic.Int64 // of the rate, by cause
	Outages atomic.Int64                     // times the camera went away

	captureStep, encodeStep step // see StalledFor

	outage  atomic.Pointer[string] // see NoteOutage
	buffers bufferTotal            // what the camera delivered and left out, by cause
}

// NoteOutage notes in words what keeps frames from the receiver; "": nothing does. It stands in the
// log beside the counters, which count what was sent and not what arrived.
func (s *Stages) NoteOutage(words string) { s.outage.Store(&words) }

// Outage is what NoteOutage noted last.
func (s *Stages) Outage() string {
	if words := s.outage.Load(); words != nil {
		return *words
	}
	return ""
}

// A snapshot is what the counters said at one moment.
type snapshot struct {
	at                       time.Duration
	count, total             [4]int64 // of Wait, Convert, Encode, Send
	frames, keyFrames, bytes int64

	surplus, shed, unreadable, replaced, held, skipped int64

	rate   int64
	outage string
	cuts   [ratecontrol.Causes]int64
}

func (s *Stages) takeSnapshot(at time.Duration) snapshot {
	n := snapshot{
		at:     at,
		frames: s.Frames.Load(), keyFrames: s.KeyFrames.Load(), bytes: s.Bytes.Load(),
		surplus: s.Surplus.Load(), shed: s.Shed.Load(), unreadable: s.Unreadable.Load(),
		replaced: s.Replaced.Load(), held: s.Held.Load(), skipped: s.Skipped.Load(),
		rate: s.Rate.Load(), outage: s.Outage(),
	}
	for i := range n.cuts {
		n.cuts[i] = s.Cuts[i].Load()
	}
	for i, stage := range []*Stage{&s.Wait, &s.Convert, &s.Encode, &s.Send} {
		n.count[i], n.total[i] = stage.count.Load(), stage.total.Load()
	}
	return n
}
