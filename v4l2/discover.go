// Which cameras this machine has, from sysfs: a board has no udev. The nodes are
// /sys/class/video4linux/videoN; the file name there holds the camera's name.

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
	devFolder  = "/dev"
)

// A Device is a camera that Discover found, or a node that it could not open.
type Device struct {
	Identity
	Offers   []Offer   `json:"formats,omitempty"`  // none if it could not be opened
	Controls []Control `json:"controls,omitempty"` // what can be set
	Problem  string    `json:"problem,omitempty"`  // why it could not be opened
}

// String returns, for example,
// "/dev/video0 Virtual UVC (usb-…): MJPG 640x480 320x240; YUYV 640x480".
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

// String returns, for example, "MJPG 640x480@30 1280x720@30".
func (o Offer) String() string {
	var b strings.Builder
	b.WriteString(o.Format.String())
	for _, s := range o.Sizes {
		fmt.Fprintf(&b, " %v", s)
		if shortest := s.shortestInterval(); shortest > 0 {
			fmt.Fprintf(&b, "@%.4g", 1/shortest.Seconds())
		}
	}
	return b.String()
}

// String returns, for example, "640x480" or "48x32 to 1920x1080".
func (s Size) String() string {
	words := fmt.Sprintf("%dx%d", s.Width, s.Height)
	if s.MinWidth != s.Width || s.MinHeight != s.Height {
		words = fmt.Sprintf("%dx%d to %s", s.MinWidth, s.MinHeight, words)
	}
	return words
}

// shortestInterval is the shortest interval of a size, 0 if the driver reports none.
func (s Size) shortestInterval() time.Duration {
	if len(s.Intervals) > 0 {
		return slices.Min(s.Intervals)
	}
	return s.Shortest
}

// Discover lists the cameras of this machine by number: the nodes that can capture,
// with what they offer, and those that could not be opened. No camera is not an error.
func Discover() ([]Device, error) {
	nodes, err := listNodes(os.DirFS(sysfs))
	if err != nil {
		return nil, fmt.Errorf("discover cameras in %s/%s: %w", sysfs, videoClass, err)
	}
	return probeNodes(nodes, probeNode), nil
}

// listNodes reads the nodes that sysfs lists, by number: path, name, USB port and serial
// number.
func listNodes(sys fs.FS) ([]Identity, error) {
	entries, err := fs.ReadDir(sys, videoClass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no driver for any camera is loaded
	}
	if err != nil {
		return nil, err
	}
	var nodes []Identity
	for _, e := range entries {
		if _, ok := nodeNumber(e.Name()); !ok {
			continue // v4l-subdev0, vbi0, radio0
		}
		name, err := fs.ReadFile(sys, path.Join(videoClass, e.Name(), "name"))
		if err != nil {
			continue // unplugged a moment ago
		}
		id := Identity{Path: path.Join(devFolder, e.Name()), Name: strings.TrimSpace(string(name))}
		id.Port, id.Serial = usb.Identify(sys, e.Name())
		nodes = append(nodes, id)
	}
	slices.SortFunc(nodes, func(a, b Identity) int {
		x, _ := nodeNumber(path.Base(a.Path))
		y, _ := nodeNumber(path.Base(b.Path))
		return cmp.Compare(x, y)
	})
	return nodes, nil
}

// nodeNumber is the N of videoN.
func nodeNumber(name string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(name, "video")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// probeNode opens a node and asks what it is and offers.
func probeNode(path string) (Device, error) {
	n, err := openNode(path)
	if err != nil {
		return Device{}, explainErrno(err)
	}
	defer n.Close() // nothing was written: its error says nothing
	d := Device{Identity: n.Identity()}
	if d.Offers, err = n.ListOffers(); err != nil {
		return d, err
	}
	d.Controls, err = n.ListControls()
	return d, err
}

// probeNodes probes each node and leaves out those that cannot capture: metadata, output and
// codec nodes.
func probeNodes(nodes []Identity, probe func(path string) (Device, error)) []Device {
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
