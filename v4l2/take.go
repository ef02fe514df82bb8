// Which camera is meant: by path, number, name, serial number or USB port, or the first
// that can capture.

package v4l2

import (
	"fmt"
	"path"
	"strings"
)

// find turns what an owner wrote into the path of a node.
func find(device string) (string, error) {
	if p, ok := isPath(device); ok {
		return p, nil
	}
	all, err := Discover()
	if err != nil {
		return "", err
	}
	i, _, err := Take(all, device)
	if err != nil {
		return "", err
	}
	return all[i].Path, nil
}

// isPath tells whether an owner named a node, and which.
func isPath(device string) (string, bool) {
	if strings.HasPrefix(device, "/") {
		return device, true
	}
	if _, ok := number(device); ok {
		return path.Join(dev, device), true
	}
	return "", false
}

// Take says which of all cameras a Request with this Device would open, and why in a
// person's words. ErrNoCamera if none fits.
//
// A serial number or a USB port must be whole; of a name a part will do, letter case
// aside. Of several that fit it takes the first that offers something, USB before the
// image processors that a Pi shows as capture nodes, then the first that could not be
// opened, so that its problem is told.
func Take(all []Device, device string) (index int, why string, err error) {
	index, best := -1, len(ranks)
	fits := 0
	var names []string
	for i, d := range all {
		names = append(names, fmt.Sprintf("%s %s", d.Path, d.Name))
		if !d.Is(device) {
			continue
		}
		fits++
		if r := d.rank(); r < best {
			index, best = i, r
		}
	}
	switch {
	case index >= 0:
		return index, because(device, ranks[best], fits), nil
	case len(names) == 0:
		return -1, "", fmt.Errorf("%w: none is plugged in", ErrNoCamera)
	}
	return -1, "", fmt.Errorf("%w: there is %s", ErrNoCamera, strings.Join(names, ", "))
}

// ranks words what rank counts, with the number of cameras and what they have in common.
var ranks = [...]string{
	"the first USB camera of %d%s",
	"the first of %d%s, none of which is on USB",
	"the first of %d%s, none of which could be opened",
	"the first of %d%s, none of which offers a format that can be read",
}

func (d Device) rank() int {
	switch {
	case len(d.Offers) > 0 && strings.HasPrefix(d.Bus, "usb-"):
		return 0
	case len(d.Offers) > 0:
		return 1
	case d.Problem != "":
		return 2
	}
	return 3
}

// because says in a person's words why one of several that fit was taken.
func because(device, kind string, fits int) string {
	switch {
	case fits == 1 && device == "":
		return "the only camera"
	case fits == 1:
		return fmt.Sprintf("the only camera that is %q", device)
	case device == "":
		return fmt.Sprintf(kind, fits, "")
	}
	return fmt.Sprintf(kind, fits, fmt.Sprintf(" that are %q", device))
}

// Is tells whether device, as an owner wrote it, means this camera.
func (d Device) Is(device string) bool {
	if p, ok := isPath(device); ok {
		return p == d.Path
	}
	return device == d.Port || device == d.Bus || d.Serial != "" && strings.EqualFold(device, d.Serial) ||
		strings.Contains(strings.ToLower(d.Name), strings.ToLower(device))
}
