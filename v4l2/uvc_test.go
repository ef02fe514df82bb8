// A USB webcam in a VM: the kernel's own uvcvideo, behind it virtualcam over
// usbredir. The tests themselves are in uvc_guest_test.go; they ask for faults by
// printing a line.

package v4l2

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

func TestCaptureFromUSBWebcamInVM(t *testing.T) {
	dir, err := os.MkdirTemp("", "cam") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "usb")
	camera := virtualcam.New(virtualcam.NewPattern())
	served := make(chan error, 1)
	runGuest(t, guest{
		machine: amd64,
		tests:   "^TestUVC",
		modules: []string{"xhci_pci", "uvcvideo"},
		qemu: []string{"-device", "qemu-xhci", "-chardev", "socket,id=cam,server=on,wait=off,path=" + socket,
			"-device", "usb-redir,chardev=cam"},
		started: func() {
			conn := dial(t, socket)
			go func() { served <- camera.ServeUSBRedir(conn) }()
		},
		line: func(line string) { obey(t, camera, line) },
	})
	t.Logf("the camera's connection ended: %v", <-served)
}

// dial waits until QEMU listens.
func dial(t *testing.T, socket string) net.Conn {
	var err error
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("unix", socket); err == nil {
			return conn
		}
		time.Sleep(50 * time.Millisecond) // QEMU tells nobody when it listens
	}
	t.Fatal(err)
	return nil
}

// obey does what a test inside the VM asks for.
func obey(t *testing.T, camera *virtualcam.Camera, line string) {
	var err error
	switch line {
	case "host: hang":
		camera.Inject(virtualcam.Faults{Hang: true})
	case "host: heal":
		camera.Inject(virtualcam.Faults{})
	case "host: unplug":
		err = camera.Detach()
	case "host: plug":
		err = camera.Attach()
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
}
