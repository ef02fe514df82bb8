// The goroutine of a Recorder: out of the queue into files.

package webm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/krazycam/krazycam/farend/webm/matroska"
)

const (
	keyFrameInterval = 2 * time.Second  // between two requests
	retryInterval    = 10 * time.Second // after a disk refused
)

// A writing is what the goroutine alone knows.
type writing struct {
	recorder *Recorder
	timeline timeline

	file          *matroska.Writer // nil: none
	start         int64            // by its name, ms since 1970
	startTicks    int64            // of the timeline
	last          int64            // ms in the file
	width, height int

	requestedAt time.Time // a key frame
	retryAt     time.Time // to begin a file
	failing     bool      // as it was logged
	slow        bool      // as it was logged
	slowSince   uint64    // dropped, when it began
	uncounted   int       // frames that were written and that Counts does not have yet
}

// write ends once the Recorder is closed and nothing waits.
func (r *Recorder) write() {
	w := writing{recorder: r}
	var q queue
	for closed := false; !closed; {
		<-r.wake
		var s state
		q, s = r.take(q)
		w.logSlowness(s)
		w.takeFrames(q)
		closed = s.closed
	}
	w.endFile()
	r.library.mu.Lock()
	delete(r.library.customerOf(r.source.Customer).recorders, r)
	r.library.mu.Unlock()
}

// logSlowness logs when dropping begins and ends.
func (w *writing) logSlowness(s state) {
	r := w.recorder
	switch {
	case s.slow && !w.slow:
		w.slowSince = s.dropped
		r.library.config.Log.Error("recordings: the disk is too slow, frames are left out up to a key frame",
			"source", r.source.ID.String())
		w.requestKeyFrame()
	case w.slow && !s.slow:
		r.library.config.Log.Info("recordings: the disk is fast enough again", "source", r.source.ID.String(),
			"frames_left_out", s.dropped-w.slowSince+1)
	}
	w.slow = s.slow
}

func (w *writing) takeFrames(q queue) {
	b, anyWritten := q.bytes, false
	for _, f := range q.frames {
		if w.takeFrame(b[:f.size], f) {
			w.uncounted++
			anyWritten = true
		}
		b = b[f.size:]
	}
	defer w.count() // once a problem that is over is, too
	if w.file == nil || !anyWritten {
		return
	}
	if err := w.file.WriteDuration(); err != nil {
		w.fail(err)
		return
	}
	w.recorder.noteWritten(w.file.Size())
	if w.failing {
		w.failing = false
		w.recorder.library.config.Log.Info("recordings: the stream is recorded again",
			"source", w.recorder.source.ID.String())
	}
}

// takeFrame says whether it wrote a frame.
func (w *writing) takeFrame(block []byte, f queued) bool {
	ticks := w.timeline.next(f.timestamp, f.at, f.restart)
	if w.file != nil && w.isOver(f, ticks) {
		w.endFile()
	}
	if w.file == nil && !(w.mayRecord(f) && w.beginFile(f, ticks)) {
		return false
	}
	at := max((ticks-w.startTicks+ticksPerMilli/2)/ticksPerMilli, w.last+1)
	if w.file.Duration() == 0 {
		at = 0
	}
	if err := w.file.WriteFrame(block, at, f.key); err != nil {
		w.fail(err)
		return false
	}
	w.last = at
	return true
}

// isOver says whether the file ends before this frame. A file that is due waits for a key frame, but not
// until it is twice as large: a source may never send one.
func (w *writing) isOver(f queued, ticks int64) bool {
	l := w.recorder.library
	if l.space.low.Load() {
		return true
	}
	length := time.Duration((ticks-w.startTicks)/ticksPerMilli) * time.Millisecond
	limit := l.fileBytes(w.recorder.source.Customer)
	due := length >= l.config.FileLength || w.file.Size() >= limit
	if f.key {
		limits, _ := l.limitsOf(w.recorder.source.Customer)
		return due || limits.recordsNothing() || f.width != w.width || f.height != w.height
	}
	if due {
		w.requestKeyFrame()
	}
	return w.file.Size() >= 2*limit
}

const limitsUnknown = "the stream is not recorded: whether its customer may be recorded is not known"

// mayRecord says whether a file can begin with this frame.
func (w *writing) mayRecord(f queued) bool {
	r := w.recorder
	l := r.library
	if l.space.low.Load() {
		r.setProblem(*l.space.words.Load())
		return false
	}
	limits, known := l.limitsOf(r.source.Customer)
	switch {
	case !known:
		r.setProblem(limitsUnknown)
		return false
	case limits.recordsNothing():
		r.setProblem("")
		return false
	case l.config.Now().Before(w.retryAt):
		return false
	}
	if !f.key {
		w.requestKeyFrame()
	}
	return f.key
}

func (w *writing) requestKeyFrame() {
	now := w.recorder.library.config.Now()
	if request := w.recorder.source.RequestKeyFrame; request != nil && now.Sub(w.requestedAt) >= keyFrameInterval {
		w.requestedAt = now
		request()
	}
}

// captureDelayMax: a capture time that is further away from the arrival is wrong.
const captureDelayMax = 10 * time.Second

// beginFile begins a file with a key frame.
func (w *writing) beginFile(f queued, ticks int64) bool {
	r := w.recorder
	l := r.library
	start := f.at
	if d := f.at.Sub(f.capturedAt); !f.capturedAt.IsZero() && d >= 0 && d < captureDelayMax {
		start = f.capturedAt
	}
	file, at, err := createFile(filepath.Join(l.customerPath(r.source.Customer), r.folder), start.UnixMilli())
	if err != nil {
		w.fail(err)
		return false
	}
	w.file, err = matroska.Create(file, matroska.Header{
		Title: r.source.Name, App: l.config.App, Start: start, Width: f.width, Height: f.height,
	})
	if err != nil {
		w.fail(errors.Join(err, file.Close(), os.Remove(file.Name())))
		return false
	}
	w.start, w.startTicks, w.last, w.width, w.height = at, ticks, 0, f.width, f.height
	l.mu.Lock()
	r.setFile(file.Name(), at)
	l.mu.Unlock()
	return true
}

// createFile makes a new file that its owner alone can read: it shows what a camera sees. If there is one
// of this time, it is named by a later millisecond.
func createFile(folder string, start int64) (f *os.File, at int64, err error) {
	for try := 0; try < 100; try++ {
		if err = os.MkdirAll(folder, 0o700); err != nil {
			return nil, 0, err
		}
		f, err = os.OpenFile(filepath.Join(folder, nameOf(start)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		switch {
		case errors.Is(err, fs.ErrExist):
			start++
		case errors.Is(err, fs.ErrNotExist): // the folder was empty, and removed a moment ago
		default:
			return f, start, err
		}
	}
	return nil, 0, err
}

// count counts the frames that were written since the last time.
func (w *writing) count() {
	w.recorder.addRecorded(w.uncounted)
	w.uncounted = 0
}

// fail ends the file after an error of the disk. Another begins once it may work again.
func (w *writing) fail(err error) {
	r := w.recorder
	w.retryAt = r.library.config.Now().Add(retryInterval)
	w.endFile()
	w.count() // before anybody hears of the problem
	r.setProblem(fmt.Sprintf("the stream is not recorded: %v", err))
	if !w.failing {
		w.failing = true
		r.library.config.Log.Error("recordings: the stream is not recorded", "source", r.source.ID.String(),
			"error", err)
	}
}

// endFile has the file closed, which waits for the disk.
func (w *writing) endFile() {
	if w.file == nil {
		return
	}
	r := w.recorder
	if err := w.file.Close(); err != nil {
		r.library.config.Log.Warn("recordings: the end of a file was not written", "source", r.source.ID.String(),
			"error", err)
	}
	r.library.addFile(r, entry{start: w.start, end: r.library.config.Now().UnixMilli(), size: w.file.Size()})
	w.file = nil
}
