// A USB webcam in a VM: the kernel's own uvcvideo, behind it virtualcam over
// usbredir. The tests themselves are in *_guest_test.go; they ask for faults by
// printing a line.

package v4l2

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// TestUSBWebcamInVM has two boots for amd64, because the tests of faults plug a second camera in
// and leave it there. A sample of both in one boot stands for arm64: the same drivers do the same.
// The machines have one core each and run side by side.
func TestUSBWebcamInVM(t *testing.T) {
	const capture, faults, both = "^Test(UVC|Replug)", "^TestFault", "^Test(UVC(Delivers|Never)|FaultsOf)"
	boots := []struct {
		name string
		machine
		tests string
		long  bool // not in the plain run
	}{
		{"amd64", amd64, capture, false},
		{"amd64, faults", amd64, faults, false},
		{"arm64", arm64, both, false},
		{"arm64, all of capture", arm64, capture, true},
		{"arm64, all faults", arm64, faults, true},
	}
	for _, b := range boots {
		if b.long && os.Getenv("KRAZYCAM_LONG") == "" {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			plugWebcams(t, b.machine, b.tests, "qemu-xhci", "xhci_pci")
		})
	}
}

// An EHCI controller gives 80 % of each microframe to isochronous streams, and Linux keeps the
// account (ehci-sched.c): 60 us of 100 for 3072 bytes, 21 us for 1024.
func TestUSBWebcamsShareABusInVM(t *testing.T) {
	plugWebcams(t, amd64, "^TestShare", "usb-ehci", "ehci_pci", builtCamsource(t))
}

// webcams are the two virtual cameras of a VM and its two USB ports; the second camera
// is plugged in on demand.
type webcams struct {
	t       *testing.T
	cameras [2]*virtualcam.Camera
	sockets [2]string // of the ports
	pull    [2]func() // takes a camera out of its port
	ended   sync.WaitGroup
}

// plugWebcams boots a VM that sees them on a controller, a device of QEMU's with its driver, and
// runs tests in it. On EHCI both cameras are isochronous.
func plugWebcams(t *testing.T, m machine, tests, controller, driver string, programs ...string) {
	dir, err := os.MkdirTemp("", "cam") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w := &webcams{t: t}
	w.cameras[0] = virtualcam.Model{Isochronous: controller == "usb-ehci"}.New(virtualcam.NewPattern())
	second := virtualcam.Model{Name: "Virtual iso", Serial: "second-2", Isochronous: true}
	w.cameras[1] = second.New(virtualcam.NewPattern())
	qemu := []string{"-device", controller}
	for i := range w.sockets {
		w.sockets[i] = filepath.Join(dir, fmt.Sprint("usb", i))
		qemu = append(qemu, "-chardev", fmt.Sprintf("socket,id=cam%d,server=on,wait=off,path=%s", i, w.sockets[i]),
			"-device", fmt.Sprintf("usb-redir,chardev=cam%d", i))
	}
	runGuest(t, guest{
		machine: m, tests: tests, modules: []string{driver, "uvcvideo"}, programs: programs, qemu: qemu,
		started: func() { w.plugCamera(0, 0) },
		line:    w.obeyGuest,
	})
	w.ended.Wait()
}

// plugCamera plugs a camera into a port.
func (w *webcams) plugCamera(camera, port int) {
	conn, done := dial(w.t, w.sockets[port]), make(chan struct{})
	w.ended.Go(func() {
		w.t.Logf("camera %d in port %d ended: %v", camera, port, w.cameras[camera].ServeUSBRedir(conn))
		close(done)
	})
	w.pull[camera] = func() { conn.Close(); <-done }
}

// dial waits until QEMU listens.
func dial(t *testing.T, socket string) net.Conn {
	var err error
	for range 600 {
		var conn net.Conn
		if conn, err = net.Dial("unix", socket); err == nil {
			return conn
		}
		time.Sleep(50 * time.Millisecond) // QEMU tells nobody when it listens
	}
	t.Fatal(err)
	return nil
}

// injected are the faults that a test inside the VM can ask for.
var injected = map[string]virtualcam.Faults{
	"heal": {}, "hang": {Hang: true}, "fault stall": {Stall: true},
	"hang until reset":      {Hang: true, Until: virtualcam.Reset},
	"hang until configured": {Hang: true, Until: virtualcam.Configuration},
	"fault refuse":          {Refuse: true},
	"fault errorbit":        {ErrorBit: true}, "fault half": {Half: true}, "fault empty": {Empty: true},
	"fault resize": {Resize: true}, "fault nohuffman": {NoHuffman: true},
	"fault noend": {NoEnd: true}, "fault padding": {Padding: 4096}, "fault surplus": {Surplus: true},
	"fault fields":    {Fields: true},
	"fault YUYV hang": {Hang: true, Format: pixfmt.YUYV}, "fault YUYV refuse": {Refuse: true, Format: pixfmt.YUYV},
	"fault YUYV half": {Half: true, Format: pixfmt.YUYV}, "fault YUYV empty": {Empty: true, Format: pixfmt.YUYV},
}

// obeyGuest does what a test inside the VM asks for with a line on the console.
func (w *webcams) obeyGuest(line string) {
	request, ok := strings.CutPrefix(line, "host: ")
	if !ok {
		return
	}
	var err error
	switch f, known := injected[request]; {
	case known:
		w.cameras[0].InjectFaults(f)
	case request == "unplug":
		err = w.cameras[0].Detach()
	case request == "plug":
		err = w.cameras[0].Attach()
	case request == "second":
		w.plugCamera(1, 1)
	case request == "move":
		w.pull[0]()
		w.plugCamera(0, 1)
	default:
		err = errors.New("nobody here knows what that is")
	}
	if err != nil {
		w.t.Errorf("%s: %v", line, err)
	}
}
