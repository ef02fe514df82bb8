// The recording of one sender.

package receiver

import (
	"fmt"
	"path/filepath"

	"github.com/krazycam/krazycam/farend/ivf"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A record is a file of a sender's frames, with times that begin at 0.
type record struct {
	*ivf.Writer
	last  uint32 // RTP timestamp of the last frame
	ticks uint64 // of the last frame since the first, 1/90000 s
}

func createRecord(path string, first rtpvp8.Frame) (*record, error) {
	w, err := ivf.Create(path, first.Width, first.Height, ivf.Timebase{Num: 1, Den: clockRate})
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return &record{Writer: w, last: first.Timestamp}, nil
}

func (v *record) writeFrame(f rtpvp8.Frame) error {
	v.ticks += uint64(max(0, int32(f.Timestamp-v.last))) // a sender that starts over must not turn time back
	v.last = f.Timestamp
	if err := v.WriteFrame(f.Bytes, v.ticks); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// recordFrame begins the sender's file with its first key frame.
func (r *Receiver) recordFrame(s *sender, f rtpvp8.Frame) (err error) {
	if s.record == nil { // f is a key frame: all before it are damaged
		name := fmt.Sprintf("%s-%08x.ivf", r.config.Now().UTC().Format("20060102-150405.000"), s.ssrc)
		if s.record, err = createRecord(filepath.Join(r.config.IVFDir, name), f); err != nil {
			return err
		}
	}
	return s.record.writeFrame(f)
}

// closeRecord closes what was recorded under a grant. If it fails, that grant is recorded no longer.
func (r *Receiver) closeRecord(v *record, grant uint64) {
	r.closingMu.Lock()
	defer r.closingMu.Unlock()
	err := v.Close()
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.granted && r.stats.Grant == grant {
		r.stopRecording(err)
		return
	}
	r.config.Log.Error("receiver: the end of a record was not written", "error", err)
}

func (r *Receiver) stopRecording(err error) {
	r.recordError = err
	r.config.Log.Error("receiver: the stream is not recorded any more", "error", err)
}
