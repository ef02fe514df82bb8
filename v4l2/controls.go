// Controls: what can be set on a camera, by name, and the two that matter even if the owner
// sets none. Sources: VIDIOC_QUERYCTRL (with VIDIOC_QUERY_EXT_CTRL), VIDIOC_G_CTRL, "Camera
// Control Reference".

package v4l2

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kinds of control, V4L2_CTRL_TYPE_…; the others hold no number.
const (
	controlInteger     = 1
	controlSwitch      = 2
	controlMenu        = 3
	controlButton      = 4
	controlIntegerMenu = 9

	controlNext     = 0x80000000 // V4L2_CTRL_FLAG_NEXT_CTRL
	controlDisabled = 0x0001     // V4L2_CTRL_FLAG_DISABLED
	controlReadOnly = 0x0004     // V4L2_CTRL_FLAG_READ_ONLY

	// maxControls bounds the listing, in case a driver never ends it.
	maxControls = 1024
)

const (
	// exposurePriority is V4L2_CID_EXPOSURE_AUTO_PRIORITY: with 1, the factory setting of many
	// cameras, the picture rate falls to 5 or 10 a second in low light.
	exposurePriority = 0x009a0903
	// powerLineFrequency is V4L2_CID_POWER_LINE_FREQUENCY.
	powerLineFrequency = 0x00980918
)

// PowerLineControl is the name of the control against the flicker of lamps: 0 off, 1 for
// 50 Hz, 2 for 60 Hz, 3 automatic.
const PowerLineControl = "power_line_frequency"

// A Control is one setting of a camera.
type Control struct {
	ID       uint32 `json:"id"`
	Name     string `json:"name"` // see ControlName
	Least    int64  `json:"least"`
	Most     int64  `json:"most"`
	Standard int64  `json:"standard"` // the driver's own choice
}

// ControlName writes a driver's name of a control as v4l2-ctl does: "White Balance,
// Automatic" is white_balance_automatic.
func ControlName(words string) string {
	parts := strings.FieldsFunc(strings.ToLower(words), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(parts, "_")
}

// stableName names the two controls that this file knows the same for every kernel: before
// 5.15 the first was "Exposure, Auto Priority".
func stableName(id uint32, words string) string {
	switch id {
	case exposurePriority:
		return "exposure_dynamic_framerate"
	case powerLineFrequency:
		return PowerLineControl
	}
	return ControlName(words)
}

// ListControls lists what can be set on the node.
func (n *node) ListControls() ([]Control, error) {
	var all []Control
	q := new(queryExtControl)
	for range maxControls {
		q.id |= controlNext
		err := ioctl(n.fd, vidiocQueryExt, unsafe.Pointer(q))
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) {
			return all, nil // the end, or a driver without any
		}
		if err != nil {
			return all, fmt.Errorf("QUERY_EXT_CTRL behind %#x: %w", q.id&^controlNext, err)
		}
		if q.flags&(controlDisabled|controlReadOnly) != 0 {
			continue
		}
		switch q.kind {
		case controlButton: // any value presses it
			q.minimum, q.maximum = 0, 1
			fallthrough
		case controlInteger, controlSwitch, controlMenu, controlIntegerMenu:
			all = append(all, Control{q.id, stableName(q.id, cString(q.name[:])), q.minimum, q.maximum, q.standard})
		}
	}
	return all, nil
}

// SetControl sets a control that ListControls listed.
func (n *node) SetControl(id uint32, value int64) error {
	if value < math.MinInt32 || value > math.MaxInt32 {
		return fmt.Errorf("S_CTRL %#x: %d has more than 32 bits", id, value)
	}
	if err := ioctl(n.fd, vidiocSCtrl, unsafe.Pointer(&control{id, int32(value)})); err != nil {
		return fmt.Errorf("S_CTRL %#x to %d: %w", id, value, err)
	}
	return nil
}

// applyControls sets the wanted controls, and exposure priority to 0 unless it is one of them.
// It returns a sentence for each control that could not be set. A camera refuses a manual value
// while the automatic control for it is on, and the order of the control numbers says nothing
// about that: what failed is tried once more at the end.
func applyControls(d Driver, wanted map[string]int64) []string {
	there, err := d.ListControls()
	if err != nil {
		return []string{fmt.Sprintf("controls cannot be listed: %v", explainErrno(err))}
	}
	var complaints []string
	var again []func() error
	set := func(c Control, value int64) func() error {
		return func() error {
			if value < c.Least || value > c.Most {
				return fmt.Errorf("control %s: %d is not within %d to %d", c.Name, value, c.Least, c.Most)
			}
			if err := d.SetControl(c.ID, value); err != nil {
				return fmt.Errorf("control %s: %w", c.Name, explainErrno(err))
			}
			return nil
		}
	}
	for _, c := range there {
		value, asked := wanted[c.Name]
		if !asked && c.ID != exposurePriority {
			continue
		}
		if try := set(c, value); try() != nil {
			again = append(again, try)
		}
	}
	for _, try := range again {
		if err := try(); err != nil {
			complaints = append(complaints, err.Error())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.ContainsFunc(there, func(c Control) bool { return c.Name == name }) {
			complaints = append(complaints, fmt.Sprintf(
				"control %s: this camera has none of that name (camsource cameras --json lists them)", name))
		}
	}
	return complaints
}
