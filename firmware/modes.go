// Which mode a camera that gives nothing is opened in next, and the file in which that outlives
// this process. Runs in the goroutine that captures.
//
// A camera that hangs and a mode that does not work look the same: silence. What tells them apart
// is whether the mode gave pictures before.
//
//   - It did: the camera hangs. It keeps its mode while the rescue goes up its ladder (USB reset
//     after 4 s of silence, …). Only a camera that is silent after the whole ladder gets another
//     mode.
//   - It did not: the mode is at fault, and the next one is tried after 2 s. The ladder waits
//     until the modes had their turn (modeTrials).
//   - It gives buffers, all of them damaged: a camera that hangs does not. The next mode is tried
//     at once, or after one more try if this one gave pictures before.
//
// A reset may have woken a camera that hung from the start. So it makes silent modes forgotten,
// and the first mode gets its second chance.

package firmware

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
)

const (
	// modeTrials is how long the modes of a camera that never gave a picture are tried before
	// the first remedy: eight modes of 2 s.
	modeTrials = 16 * time.Second

	// hangLimit is how long a mode that gave pictures is kept for a camera that is silent: the
	// ladder takes 12 s, and the camera that its last step woke has 4 s to show it.
	hangLimit = 16 * time.Second

	// maxModesFile bounds the file that is read: a camera with 100 modes takes 20 kB.
	maxModesFile = 1 << 20
)

// A camera that has modes, *v4l2.Camera.
type modal interface {
	Mode() v4l2.Mode
	ModeWorks()
	ModeWorked() bool
	EverWorked() bool
	ModeFailed(error) error
	ExplainChoice() string
}

// judgeMode decides whether the camera's mode is to blame for err, which ended it. gavePicture
// says whether it gave one since it was opened.
func (s *Source) judgeMode(camera pipeline.Camera, err error, gavePicture bool) {
	m, ok := camera.(modal)
	if !ok || !v4l2.IsModeError(err) {
		return
	}
	if m.ModeWorked() {
		hangs := !errors.Is(err, v4l2.ErrUnusable) && s.now()-s.rescue.lastPicture < hangLimit
		if gavePicture || !s.rescue.active || hangs {
			return // the first loss is no reason for another mode
		}
	}
	s.Log.Warn("camera mode does not work: the next one is tried",
		"camera", camera.String(), "mode", m.Mode().String(), "error", err)
	if err := m.ModeFailed(err); err != nil {
		s.logNoMode(err)
	}
	s.saveModes()
}

// logNoMode says once an outage that nothing is left to try.
func (s *Source) logNoMode(err error) {
	if s.rescue.saidNoMode {
		return
	}
	s.rescue.saidNoMode = true
	s.Log.Warn("no mode of this camera works: all are tried again; another cable or port may help", "error", err)
}

// noteWorkingMode remembers the mode of a camera that gave its first picture.
func (s *Source) noteWorkingMode(camera pipeline.Camera) {
	m, ok := camera.(modal)
	if !ok || m.ModeWorked() {
		return
	}
	m.ModeWorks()
	s.saveModes()
}

// logFallback says, once for each reason, that a camera runs in another mode than the best.
func (s *Source) logFallback(camera pipeline.Camera) {
	d, ok := camera.(interface{ Fallback() string })
	if !ok || d.Fallback() == "" {
		return
	}
	sentence := camera.String() + d.Fallback()
	if !slices.Contains(s.seenComplaints, sentence) && len(s.seenComplaints) < complaintLimit {
		s.seenComplaints = append(s.seenComplaints, sentence)
		s.Log.Warn("camera runs in another mode", "camera", camera.String(), "mode", describeMode(camera))
	}
}

func describeMode(camera pipeline.Camera) string {
	if d, ok := camera.(interface{ ExplainChoice() string }); ok {
		return d.ExplainChoice()
	}
	return ""
}

// loadModes reads what an earlier process learned. It runs as root on a board, and the folder is
// camsource's own: whatever is there instead is neither waited for nor believed to be more than
// modes.
func (s *Source) loadModes() {
	if s.ModesFile == "" {
		return
	}
	b, err := openfile.Read(s.ModesFile, maxModesFile)
	if err == nil {
		err = json.Unmarshal(b, &s.modes)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Log.Debug("modes of cameras are learned anew", "error", err)
	}
}

// saveModes writes what is known now, once rights were given up. A failure costs only the memory
// beyond this process.
func (s *Source) saveModes() {
	if s.ModesFile == "" {
		return
	}
	b, err := json.Marshal(&s.modes)
	if err == nil {
		err = atomicfile.Replace(s.ModesFile, 0o600, atomicfile.Bytes(b))
	}
	if err != nil {
		s.Log.Debug("modes of cameras are not kept", "error", err)
	}
}
