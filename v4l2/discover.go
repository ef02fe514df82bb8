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
)

const (
	sysfs = "/sys/class/video4linux"
	dev   = "/dev"
)

// A Device is a camera that Discover found, or a node that it could not look into.
type Device struct {
	Identity
	Offers  []Offer `json:"formats,omitempty"` // none if it could not be opened
	Problem string  `json:"problem,omitempty"` // why it could not be opened
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
		b.WriteByte(' ')
		if s.MinWidth != s.Width || s.MinHeight != s.Height {
			fmt.Fprintf(&b, "%dx%d to ", s.MinWidth, s.MinHeight)
		}
		fmt.Fprintf(&b, "%dx%d", s.Width, s.Height)
		if len(s.Intervals) > 0 {
			fmt.Fprintf(&b, "@%.4g", 1/slices.Min(s.Intervals).Seconds())
		}
	}
	return b.String()
}

// Discover lists the cameras of this machine by number: the nodes that can capture,
// with what they offer, and those that could not be opened. No camera is not an error.
func Discover() ([]Device, error) {
	nodes, err := scan(os.DirFS(sysfs))
	if err != nil {
		return nil, fmt.Errorf("discover cameras in %s: %w", sysfs, err)
	}
	return probeAll(nodes, probe), nil
}

// scan reads the nodes that sysfs lists, by number. Only path and name are known.
func scan(class fs.FS) ([]Identity, error) {
	entries, err := fs.ReadDir(class, ".")
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
		name, err := fs.ReadFile(class, path.Join(e.Name(), "name"))
		if err != nil {
			continue // unplugged a moment ago
		}
		nodes = append(nodes, Identity{Path: path.Join(dev, e.Name()), Name: strings.TrimSpace(string(name))})
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
func probe(path string) (Identity, []Offer, error) {
	n, err := openNode(path)
	if err != nil {
		return Identity{}, nil, explain(err)
	}
	defer n.Close() // nothing was changed
	offers, err := n.Offers()
	return n.Identity(), offers, err
}

// probeAll leaves out what cannot capture: metadata, output and codec nodes.
func probeAll(nodes []Identity, probe func(path string) (Identity, []Offer, error)) []Device {
	var all []Device
	for _, node := range nodes {
		id, offers, err := probe(node.Path)
		switch {
		case errors.Is(err, ErrNotCapture), errors.Is(err, ErrNoCamera):
		case err != nil:
			all = append(all, Device{Identity: node, Problem: err.Error()})
		default:
			all = append(all, Device{Identity: id, Offers: offers})
		}
	}
	return all
}

// find turns what an owner wrote into the path of a node.
func find(device string) (string, error) {
	if strings.HasPrefix(device, "/") {
		return device, nil
	}
	if _, ok := number(device); ok {
		return path.Join(dev, device), nil
	}
	all, err := Discover()
	if err != nil {
		return "", err
	}
	return pick(all, device)
}

// pick takes the first camera whose name holds device, letter case aside. Without a
// name it is the first that offers something, USB before the image processors that
// a Pi shows as capture nodes, or the first that could not be opened, so that its
// problem is told.
func pick(all []Device, device string) (string, error) {
	wanted := strings.ToLower(device)
	var names []string
	best, bestRank := "", 4
	for _, d := range all {
		names = append(names, fmt.Sprintf("%s %s", d.Path, d.Name))
		rank := 3
		switch {
		case !strings.Contains(strings.ToLower(d.Name), wanted):
			continue
		case len(d.Offers) > 0 && strings.HasPrefix(d.Bus, "usb-"):
			rank = 0
		case len(d.Offers) > 0:
			rank = 1
		case d.Problem != "":
			rank = 2
		}
		if rank < bestRank {
			best, bestRank = d.Path, rank
		}
	}
	switch {
	case best != "":
		return best, nil
	case len(names) == 0:
		return "", fmt.Errorf("%w: none is plugged in", ErrNoCamera)
	}
	return "", fmt.Errorf("%w: there is %s", ErrNoCamera, strings.Join(names, ", "))
}
