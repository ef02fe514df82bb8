// The files that the remedies write belong to root. Process 1 and camsource, before it gives
// up root, hand those of the cameras to camsource's group.

package usb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ShareCameras lets group apply the three remedies to every camera that is plugged in now. It
// takes root. A camera that is plugged in again has new files; only the power switch of its
// port stays.
func ShareCameras(group int) error {
	ports, err := cameraPorts(os.DirFS(sysfs))
	if err != nil {
		return fmt.Errorf("share USB devices: %w", err)
	}
	for _, port := range ports {
		failed := machineTree.shareFiles(port, group)
		if !errors.Is(failed, fs.ErrNotExist) { // otherwise pulled meanwhile
			err = errors.Join(err, failed)
		}
	}
	return err
}

// cameraPorts lists the ports of the video nodes that sysfs knows; a camera with two nodes is
// there twice.
func cameraPorts(sys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(sys, videoClass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no driver for any camera is loaded
	}
	if err != nil {
		return nil, err
	}
	var ports []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "video") {
			continue // v4l-subdev0, vbi0, radio0
		}
		if port, _ := Identify(sys, e.Name()); port != "" {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// shareFiles gives the files that the three remedies write to group. A file that does not exist
// is no error, but a device that does not exist is.
func (t tree) shareFiles(port string, group int) error {
	authorized, err := t.attributePath(port, "authorized")
	if err != nil {
		return err
	}
	power, err := t.powerPath(port)
	if err != nil {
		return err
	}
	node, err := t.nodePath(port)
	if err != nil {
		return err
	}
	for _, path := range []string{authorized, power, node} {
		failed := os.Chown(path, -1, group)
		if failed == nil {
			failed = os.Chmod(path, 0o664)
		}
		if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}
