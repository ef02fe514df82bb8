// Which cameras are there: sysfs is read instead of udev, which the board lacks.
// The nodes are /sys/class/video4linux/videoN, their names in the file name there.

package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/v4l2/usb"
)

const (
	sysfs      = "/sys"
	videoClass = "class/video4linux" // below sysfs
	dev        = "/dev"
)

// A Device is a camera that Discover found, or a node that it could not look into.
type Device struct {
	Identity
	Offers   []Offer   `json:"formats,omitempty"`  // none if it could not be opened
	Controls []Control `json:"controls,omitempty"` // what can be set
	Problem  string    `json:"problem,omitempty"`  // why it could not be opened
}

// String is a person's line: "/dev/video0 Virtual UVC (usb-…): MJPG 640x480 320x240; YUYV 640x480".
func (d Device) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.Path, d.Name)
	if d.Bus != "" {
		fmt.Fprintf(&b, " (%s)", d.Bus)
	}
	separator := ": "
	if d.Problem != "" {
		b.WriteString(separator + d.Problem)
	}
	for _, o := range d.Offers {
		b.WriteString(separator + o.String())
		separator = "; "
	}
	return b.String()
}

// String is a person's words: "MJPG 640x480@30 1280x720@30".
func (o Offer) String() string {
	var b strings.Builder
	b.WriteString(o.Format.String())
	for _, s := range o.Sizes {
		fmt.Fprintf(&b, " %v", s)
		if shortest := s.shortest(); shortest > 0 {
			fmt.Fprintf(&b, "@%.4g", 1/shortest.Seconds())
		}
	}
	return b.String()
}

// String is a person's words: "640x480", "48x32 to 1920x1080".
func (s Size) String() string {
	words := fmt.Sprintf("%dx%d", s.Width, s.Height)
	if s.MinWidth != s.Width || s.MinHeight != s.Height {
		words = fmt.Sprintf("%dx%d to %s", s.MinWidth, s.MinHeight, words)
	}
	return words
}

// shortest is the shortest interval of a size, 0 if none is told.
func (s Size) shortest() time.Duration {
	if len(s.Intervals) > 0 {
		return slices.Min(s.Intervals)
	}
	return s.Shortest
}

// Discover lists the cameras of this machine by number: the nodes that can capture,
// with what they offer, and those that could not be opened. No camera is not an error.
func Discover() ([]Device, error) {
	nodes, err := scan(os.DirFS(sysfs))
	if err != nil {
		return nil, fmt.Errorf("discover cameras in %s/%s: %w", sysfs, videoClass, err)
	}
	return probeAll(nodes, probe), nil
}

// scan reads the nodes that sysfs lists, by number: path, name, and what USB says.
func scan(sys fs.FS) ([]Identity, error) {
	entries, err := fs.ReadDir(sys, videoClass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no driver for any camera is loaded
	}
	if err != nil {
		return nil, err
	}
	var nodes []Identity
	for _, e := range entries {
		if _, ok := number(e.Name()); !ok {
			continue // v4l-subdev0, vbi0, radio0
		}
		name, err := fs.ReadFile(sys, path.Join(videoClass, e.Name(), "name"))
		if err != nil {
			continue // unplugged a moment ago
		}
		id := Identity{Path: path.Join(dev, e.Name()), Name: strings.TrimSpace(string(name))}
		id.Port, id.Serial = usb.Identify(sys, e.Name())
		nodes = append(nodes, id)
	}
	slices.SortFunc(nodes, func(a, b Identity) int {
		x, _ := number(path.Base(a.Path))
		y, _ := number(path.Base(b.Path))
		return cmp.Compare(x, y)
	})
	return nodes, nil
}

// number is the N of videoN.
func number(name string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(name, "video")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// probe opens a node and asks what it is and offers.
func probe(path string) (Device, error) {
	n, err := openNode(path)
	if err != nil {
		return Device{}, explain(err)
	}
	defer n.Close() // nothing was changed
	d := Device{Identity: n.Identity()}
	if d.Offers, err = n.Offers(); err != nil {
		return d, err
	}
	d.Controls, err = n.Controls()
	return d, err
}

// probeAll leaves out what cannot capture: metadata, output and codec nodes.
func probeAll(nodes []Identity, probe func(path string) (Device, error)) []Device {
	var all []Device
	for _, node := range nodes {
		d, err := probe(node.Path)
		switch {
		case errors.Is(err, ErrNotCapture), errors.Is(err, ErrNoCamera):
		case err != nil:
			all = append(all, Device{Identity: node, Problem: err.Error()})
		default:
			d.Port, d.Serial = node.Port, node.Serial
			all = append(all, d)
		}
	}
	return all
}
