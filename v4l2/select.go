// Which camera a Request means: by path, number, name, serial number or USB port, or the first
// that can capture.

package v4l2

import (
	"fmt"
	"path"
	"strings"
)

// findNode turns the owner's setting into the path of a node.
func findNode(device string) (string, error) {
	if p, ok := nodePath(device); ok {
		return p, nil
	}
	all, err := Discover()
	if err != nil {
		return "", err
	}
	i, _, err := SelectDevice(all, device)
	if err != nil {
		return "", err
	}
	return all[i].Path, nil
}

// nodePath says whether the owner's setting names a node, and which.
func nodePath(device string) (string, bool) {
	if strings.HasPrefix(device, "/") {
		return device, true
	}
	if _, ok := nodeNumber(device); ok {
		return path.Join(devFolder, device), true
	}
	return "", false
}

// SelectDevice says which of all cameras a Request with this Device would open, and for an
// owner why. The error is ErrNoCamera if none matches.
//
// A serial number or a USB port must be complete; of a name a part is enough, in upper or lower
// case. Among several it selects the first that offers a format, USB before the image
// processors that a Pi shows as capture nodes, then the first that could not be opened, so that
// its problem is reported.
func SelectDevice(all []Device, device string) (index int, why string, err error) {
	index, best := -1, len(rankWords)
	matching := 0
	var names []string
	for i, d := range all {
		names = append(names, fmt.Sprintf("%s %s", d.Path, d.Name))
		if !d.Matches(device) {
			continue
		}
		matching++
		if r := d.rankIndex(); r < best {
			index, best = i, r
		}
	}
	switch {
	case index >= 0:
		return index, explainSelection(device, rankWords[best], matching), nil
	case len(names) == 0:
		return -1, "", fmt.Errorf("%w: none is plugged in", ErrNoCamera)
	}
	return -1, "", fmt.Errorf("%w: there is %s", ErrNoCamera, strings.Join(names, ", "))
}

// rankWords has the words for each rank; the verbs are the number of cameras and what they have
// in common.
var rankWords = [...]string{
	"the first USB camera of %d%s",
	"the first of %d%s, none of which is on USB",
	"the first of %d%s, none of which could be opened",
	"the first of %d%s, none of which offers a format that can be read",
}

// rankIndex ranks a device, 0 is the best.
func (d Device) rankIndex() int {
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

// explainSelection says for an owner why one of the matching cameras was selected.
func explainSelection(device, words string, matching int) string {
	switch {
	case matching == 1 && device == "":
		return "the only camera"
	case matching == 1:
		return fmt.Sprintf("the only camera that is %q", device)
	case device == "":
		return fmt.Sprintf(words, matching, "")
	}
	return fmt.Sprintf(words, matching, fmt.Sprintf(" that are %q", device))
}

// Matches says whether device, the owner's setting, means this camera.
func (d Device) Matches(device string) bool {
	if p, ok := nodePath(device); ok {
		return p == d.Path
	}
	return device == d.Port || device == d.Bus ||
		d.Serial != "" && strings.EqualFold(device, d.Serial) ||
		strings.Contains(strings.ToLower(d.Name), strings.ToLower(device))
}
