// Which modes of a camera work: what failed, what gave pictures, in which order the next Open
// tries them. Arithmetic over what a Camera reports; firmware keeps the file.

package v4l2

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Limits on what is remembered, and read back from a file that anybody may have written.
const (
	maxModeRecords = 16
	maxFailedModes = 1024
	maxReason      = 512 // bytes of one reason
)

// maxForgiven is how often the failures of a camera that gave no picture so far are put down to
// its plug. A camera that a bad mode throws off the bus must come to its next mode.
const maxForgiven = 3

// A Mode is what a camera can be asked for.
type Mode struct {
	Format   pixfmt.FourCC `json:"format"`
	Width    int           `json:"width"`
	Height   int           `json:"height"`
	Interval time.Duration `json:"interval_ns"`
}

// String returns, for example, "YUYV 640x480 at 30/s".
func (m Mode) String() string {
	return fmt.Sprintf("%v %dx%d at %.4g/s", m.Format, m.Width, m.Height, 1/m.Interval.Seconds())
}

// A FailedMode is a mode that the next Open leaves out.
type FailedMode struct {
	Mode    Mode   `json:"mode"`
	Because string `json:"because"`          // completes "instead of MODE, …"
	Silent  bool   `json:"silent,omitempty"` // it gave no buffer: a reset may mend that

	crowded bool // the bus had no room (ENOSPC), which depends on what else is on it: for one Open only
}

// Modes remembers for each camera which of its modes failed and which gave pictures. The zero
// Modes knows nothing. A Camera keeps its part of it up to date; all of them belong to one
// goroutine. As JSON it outlives the process.
type Modes struct {
	records []*modeRecord // the latest camera last
}

// modeRecord is what is known of one camera for one wish of the owner.
type modeRecord struct {
	Camera   string       `json:"camera"`
	Wish     string       `json:"wish"` // another one begins anew
	Works    *Mode        `json:"works,omitempty"`
	Failed   []FailedMode `json:"failed,omitempty"`
	Forgiven int          `json:"forgiven,omitempty"` // times that the plug was to blame
}

// cameraKey names a camera in a way that lasts when it is plugged in again: by its serial number,
// or where it has none by the place where it is plugged in.
func cameraKey(id Identity) string {
	switch {
	case id.Serial != "":
		return id.Name + ", serial number " + id.Serial
	case id.Port != "":
		return id.Name + ", port " + id.Port
	}
	return id.Name + ", bus " + id.Bus
}

// find returns the record of a camera, a new one if there is none.
func (m *Modes) find(id Identity, r Request) *modeRecord {
	r = r.withDefaults()
	key := cameraKey(id)
	wish := fmt.Sprintf("%dx%d %d/s", r.Width, r.Height, r.FPS)
	if r.Format != 0 {
		wish = r.Format.String() + " " + wish
	}
	at := slices.IndexFunc(m.records, func(r *modeRecord) bool { return r.Camera == key })
	if at >= 0 && m.records[at].Wish == wish {
		return m.records[at]
	}
	if at >= 0 {
		m.records = slices.Delete(m.records, at, at+1)
	}
	if len(m.records) >= maxModeRecords {
		m.records = slices.Delete(m.records, 0, 1)
	}
	record := &modeRecord{Camera: key, Wish: wish}
	m.records = append(m.records, record)
	return record
}

// ForgetSilent forgets which modes gave no buffer at all: a camera that hung was reset since.
func (m *Modes) ForgetSilent() {
	for _, r := range m.records {
		r.forgetSilent()
	}
}

// ForgetUnplugged forgets failures that may be no mode's fault. It is for when a camera was
// unplugged: the silence of cameras whose working mode was silent, too, and all failures of cameras
// that gave no picture so far, since a shaky plug answers with anything.
func (m *Modes) ForgetUnplugged() {
	for _, r := range m.records {
		r.forgetHang()
		if r.Works == nil && len(r.Failed) > 0 && r.Forgiven < maxForgiven {
			r.Failed = nil
			r.Forgiven++
		}
	}
}

// MarshalJSON writes all that is known.
func (m *Modes) MarshalJSON() ([]byte, error) { return json.Marshal(m.records) }

// UnmarshalJSON reads what MarshalJSON wrote. What is beyond the limits is an error and changes
// nothing.
func (m *Modes) UnmarshalJSON(b []byte) error {
	var records []*modeRecord
	if err := json.Unmarshal(b, &records); err != nil {
		return fmt.Errorf("modes of cameras: %w", err)
	}
	if len(records) > maxModeRecords {
		return fmt.Errorf("modes of %d cameras: want %d at most", len(records), maxModeRecords)
	}
	for i, r := range records {
		if r == nil || len(r.Failed) > maxFailedModes {
			return fmt.Errorf("modes of camera %d: want a list of %d at most", i, maxFailedModes)
		}
		for _, f := range r.Failed {
			if len(f.Because) > maxReason {
				return fmt.Errorf("modes of camera %d: a reason of %d bytes: want %d at most",
					i, len(f.Because), maxReason)
			}
		}
	}
	m.records = records
	return nil
}

// order returns the choices that did not fail, each once.
func (r *modeRecord) order(ranked []Choice) []Choice {
	var left []Choice
	seen := map[Mode]bool{}
	for _, c := range ranked {
		if m := c.mode(); !seen[m] && !r.failed(m) {
			seen[m] = true
			left = append(left, c)
		}
	}
	return left
}

func (r *modeRecord) failed(m Mode) bool {
	return slices.ContainsFunc(r.Failed, func(f FailedMode) bool { return f.Mode == m })
}

func (r *modeRecord) fail(m Mode, err error) {
	if r.failed(m) || len(r.Failed) >= maxFailedModes {
		return
	}
	because := strings.ReplaceAll(explainFailure(err), "\n", "; ")
	if len(because) > maxReason {
		because = strings.ToValidUTF8(because[:maxReason-3], "") + "..."
	}
	r.Failed = append(r.Failed, FailedMode{
		Mode: m, Because: because,
		Silent:  errors.Is(err, ErrSilent) && !errors.Is(err, ErrUnusable),
		crowded: errors.Is(err, unix.ENOSPC),
	})
}

func (r *modeRecord) work(m Mode) {
	r.forgetHang()
	r.Works, r.Forgiven = &m, 0
	r.Failed = slices.DeleteFunc(r.Failed, func(f FailedMode) bool { return f.Mode == m })
}

// forgetHang forgets all silent modes if one of them is known to work: the camera hung.
func (r *modeRecord) forgetHang() {
	hung := func(f FailedMode) bool { return f.Silent && f.Mode == *r.Works }
	if r.Works != nil && slices.ContainsFunc(r.Failed, hung) {
		r.forgetSilent()
	}
}

func (r *modeRecord) forgetSilent() {
	r.Failed = slices.DeleteFunc(r.Failed, func(f FailedMode) bool { return f.Silent })
}

// forgetCrowded makes the next Open try the modes again for which the bus had no room.
func (r *modeRecord) forgetCrowded() {
	r.Failed = slices.DeleteFunc(r.Failed, func(f FailedMode) bool { return f.crowded })
}

// explainInstead says for an owner why an earlier choice than m does not run; "" if m is the best.
func (r *modeRecord) explainInstead(ranked []Choice, m Mode) string {
	var words string
	count := 0
	for _, c := range ranked {
		if c.mode() == m {
			break
		}
		at := slices.IndexFunc(r.Failed, func(f FailedMode) bool { return f.Mode == c.mode() })
		if at < 0 {
			continue
		}
		if count++; count == 1 {
			name := fmt.Sprintf("%v %dx%d", c.Format, c.Width, c.Height)
			if c.Format == m.Format && c.Width == m.Width && c.Height == m.Height {
				name = c.mode().String() // only the rate differs
			}
			words = fmt.Sprintf("; instead of %s, %s", name, r.Failed[at].Because)
		}
	}
	if count > 1 {
		words += fmt.Sprintf("; %d better modes failed in all", count)
	}
	return words
}

// A NoModeError says that a camera is there and that each of its modes has failed. The next Open
// begins with the first again.
type NoModeError struct {
	Camera Identity
	Failed []FailedMode
	Err    error // of the last one that was tried
}

// Error names the first modes and why they failed.
func (e *NoModeError) Error() string {
	const named = 3
	var b strings.Builder
	fmt.Fprintf(&b, "none of its %d modes works", len(e.Failed))
	for i, f := range e.Failed {
		if i == named {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-named)
			break
		}
		fmt.Fprintf(&b, "; %v, %s", f.Mode, f.Because)
	}
	return b.String()
}

func (e *NoModeError) Unwrap() error { return e.Err }

// Identity is that of the camera.
func (e *NoModeError) Identity() Identity { return e.Camera }

// isOutsideMode says that another mode would fail in the same way: the camera is gone, or
// somebody else has it, or this user may not use it.
func isOutsideMode(err error) bool {
	for _, errno := range []error{
		unix.EBUSY, unix.EACCES, unix.EPERM, unix.ENOTTY, unix.ENOSYS, unix.EBADF, ErrNotCapture,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return isUnplugged(err)
}

// isUnplugged says that the device left, so that nothing it answered before counts.
func isUnplugged(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT)
}

// explainFailure completes "instead of MODE, …" for an owner.
func explainFailure(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "for which the bus has no room beside what else is on it"
	case errors.Is(err, errLayout):
		return "which the driver does not give"
	case errors.Is(err, ErrUnusable), errors.Is(err, ErrSilent):
		return "which gave no picture: " + err.Error()
	}
	return "which fails: " + err.Error()
}
