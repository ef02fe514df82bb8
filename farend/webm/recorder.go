// The sink of one stream: a queue in memory, which the goroutine that reads the socket fills. What takes
// out of it is in writing.go.

package webm

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/farend/webm/matroska"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Source is what a Recorder records.
type Source struct {
	Customer int64
	ID       wire.ID
	Name     string // the files' title; "": the ID's text

	// RequestKeyFrame asks the source for a key frame, with which a file can begin. It is called by the
	// Recorder's own goroutine, every 2 s while one is needed. nil: it cannot be asked.
	RequestKeyFrame func()
}

const (
	// queueBytesMax is what waits for the disk: 4 s at 2 Mbit/s. A frame that is larger waits alone.
	queueBytesMax = 1 << 20

	// queueFramesMax is for frames without size.
	queueFramesMax = 4096

	// queueKept is the memory that a queue keeps when it was longer.
	queueKept = 256 << 10
)

// A Recorder writes the files of one stream. Its methods do not wait for a disk.
type Recorder struct {
	library *Library
	source  Source
	folder  string
	wake    chan struct{} // the queue has something, or closed is set
	bytes   atomic.Int64  // of the file that is written

	// mu guards all below. Nothing is called under it.
	mu       sync.Mutex
	closed   bool
	queue    queue
	restart  bool // the next frame's time stamp has nothing to do with the last one's
	skip     bool // up to the next key frame
	slow     bool // frames are dropped, as the disk is too slow
	dropped  uint64
	recorded uint64
	file     string // "": none
	start    int64  // of file, ms since 1970
	problem  string // of the disk, in words
}

// A queue is frames in memory that is used again and again.
type queue struct {
	bytes  []byte // each frame behind matroska.BlockRoom bytes
	frames []queued
}

// A queued frame is the next size bytes, room included.
type queued struct {
	size          int
	timestamp     uint32
	at            time.Time // arrival
	capturedAt    time.Time
	width, height int
	key, restart  bool
}

// Record makes a stream's sink and starts its goroutine, which ends after Close.
func (l *Library) Record(s Source) *Recorder {
	if s.Name == "" {
		s.Name = s.ID.String()
	}
	r := &Recorder{library: l, source: s, folder: folderOf(s.ID), wake: make(chan struct{}, 1), skip: true}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.closed = l.closed; !r.closed {
		l.customerOf(s.Customer).recorders[r] = struct{}{}
		l.running.Go(func() { r.write() })
	}
	return r
}

var _ stream.Sink = (*Recorder)(nil)

// TakePacket does nothing: frames are recorded.
func (r *Recorder) TakePacket([]byte, time.Time) {}

// TakeFrame copies a frame into the queue.
func (r *Recorder) TakeFrame(f stream.Frame) {
	if r.enqueue(f) {
		r.signal()
	}
}

func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look at all that waits
	}
}

// enqueue says whether the frame waits.
func (r *Recorder) enqueue(f stream.Frame) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch size := matroska.BlockRoom + len(f.Bytes); {
	case r.closed:
		return false
	case f.Damaged:
		r.skip = true
		return false
	case r.skip && !f.Key:
		if r.slow {
			r.dropped++
		}
		return false
	case len(r.queue.frames) > 0 && (len(r.queue.bytes)+size > queueBytesMax || len(r.queue.frames) >= queueFramesMax):
		r.skip, r.slow = true, true
		r.dropped++
		return false
	default:
		r.skip, r.slow = false, false
		var room [matroska.BlockRoom]byte
		r.queue.bytes = append(append(r.queue.bytes, room[:]...), f.Bytes...)
		r.queue.frames = append(r.queue.frames, queued{
			size: size, timestamp: f.Timestamp, at: f.At, capturedAt: f.CapturedAt,
			width: f.Width, height: f.Height, key: f.Key, restart: r.restart,
		})
		r.restart = false
		return true
	}
}

// Restart has the time in the file go on by the clock.
func (r *Recorder) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restart, r.skip = true, true
}

// Close has what waits written and the file ended, and waits for neither: the Library's Close does.
func (r *Recorder) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.signal()
}

// Report says which file is written, and why the stream is not recorded.
func (r *Recorder) Report() (record, problem string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slow {
		return r.file, fmt.Sprintf("the disk is too slow: %d frames were not recorded", r.dropped)
	}
	return r.file, r.problem
}

// Counts gives the frames that were written, and those that were not because the disk was too slow.
func (r *Recorder) Counts() (recorded, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recorded, r.dropped
}

// take gives what waits, in exchange for memory to fill next.
func (r *Recorder) take(spare queue) (q queue, s state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, r.queue = r.queue, queue{spare.bytes[:0], spare.frames[:0]}
	if cap(spare.bytes) > queueKept {
		r.queue.bytes = nil
	}
	return q, state{r.closed, r.slow, r.dropped}
}

// A state is what the writer needs to know beside the frames.
type state struct {
	closed, slow bool
	dropped      uint64
}

func (r *Recorder) addRecorded(frames int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded += uint64(frames)
}

// noteWritten notes the file's size; whatever problem there was is over.
func (r *Recorder) noteWritten(size int64) {
	r.bytes.Store(size)
	r.setProblem("")
}

// setFile is called under the Library's lock, so that no file is listed twice or not at all.
func (r *Recorder) setFile(path string, start int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.file, r.start = path, start
	r.bytes.Store(0)
}

func (r *Recorder) activeSince() (start int64, active bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.start, r.file != ""
}

func (r *Recorder) setProblem(words string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = words
}
