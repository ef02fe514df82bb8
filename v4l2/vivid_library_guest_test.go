//go:build vm

// What blackjack/webcam alone does in the same place, for the record, and what our calls
// beside it do: letters as in node.go. A fault that is gone upstream fails the test that shows
// it. Runs inside the VM that vivid_test.go boots; files run in the order of their names, and
// the last test here leaves vivid disconnected.

package v4l2

import (
	"errors"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestVividAnswersWithItsOwnSize(t *testing.T) {
	n, err := openNode("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	l, err := n.SetFormat(pixfmt.YUYV, 700, 500)
	_, width, height, _ := n.cam.SetImageFormat(webcam.PixelFormat(pixfmt.YUYV), 700, 500)
	if err != nil || l.Check() != nil || l.Width == 700 {
		t.Errorf("SetFormat(700, 500) = %+v, %v, want the driver's own size", l, err)
	}
	figure(t, "blackjack/webcam alone", "(a) asked 700x500: the driver took %v, the library said %dx%d", l, width,
		height)
	if int(width) == l.Width {
		t.Error("the library reads the size back now: SetFormat can do with less beside it")
	}
}

func TestVividTakesAnotherFormatAfterStop(t *testing.T) {
	n, err := openNode("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for range 3 {
		for _, width := range []int{320, 640} {
			if _, err := n.SetFormat(pixfmt.YUYV, width, width/16*9); err != nil {
				t.Fatalf("SetFormat: %v", err)
			}
			if err := n.Start(4); err != nil {
				t.Fatal(err)
			}
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(n.cam.SetBufferCount(4), n.cam.StartStreaming(), n.cam.StopStreaming()); err != nil {
		t.Fatal(err)
	}
	err = n.setFormat(pixfmt.YUYV, 320, 180)
	figure(t, "blackjack/webcam alone", "(d) S_FMT after its StopStreaming: %v", err)
	if !errors.Is(err, unix.EBUSY) {
		t.Error("the library frees its buffers now: Stop can do with less beside it")
	}
}

// What the library alone does in the same place, for the record.
func TestVividShowsWhyTheLibraryDoesNotStartTheStream(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.dev.Stop(); err != nil {
		t.Fatal(err)
	}
	w, err := webcam.Open("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	inject(t, c, "inject_vidioc_streamon_error", 1)
	err = w.StartStreaming()
	mappings := countResources().mappings
	figure(t, "blackjack/webcam alone",
		"(c) mappings left by a StartStreaming that failed: %d; (h) its error is EINVAL to errors.Is: %v", mappings,
		errors.Is(err, unix.EINVAL))
	if errors.Is(err, unix.EINVAL) {
		t.Error("the library keeps the errno now: webcam.go can do with less beside it")
	}
	if mappings == 0 {
		t.Error("the library unmaps after a failed start now: webcam.go can do with less beside it")
	}
	w.Close()
	if err := c.dev.Start(bufferCount); err == nil { // they keep the queue
		t.Error("Start beside the left-over mappings: want an error")
	}
	buffers := reflect.ValueOf(w).Elem().FieldByName("buffers")
	for i := range buffers.Len() {
		if err := unix.Munmap(buffers.Index(i).Bytes()); err != nil {
			t.Error(err)
		}
	}
	if err := c.dev.Start(bufferCount); err != nil {
		t.Errorf("Start when they are gone: %v", err)
	}
}

// The picture after a stall is the oldest of the many buffers that the library asks for;
// GetFrame gives no time to tell that by, so a DQBUF of ours takes it.
func TestVividShowsWhyTheLibraryGetsFewerBuffers(t *testing.T) {
	n, err := openNode("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if _, err := n.SetFormat(pixfmt.YUYV, wish.Width, wish.Height); err != nil {
		t.Fatal(err)
	}
	if err := n.cam.StartStreaming(); err != nil {
		t.Fatal(err)
	}
	buffers := reflect.ValueOf(n.cam).Elem().FieldByName("buffers").Len()
	time.Sleep(1500 * time.Millisecond)
	q := &bufferInfo{kind: typeCapture, memory: memoryMmap}
	if err := ioctl(n.fd, vidiocDQBuf, unsafe.Pointer(q)); err != nil {
		t.Fatal(err)
	}
	age := Now() - time.Duration(q.timestamp.Nano())
	figure(t, "blackjack/webcam alone",
		"(f) %d buffers, the first picture after 1.5 s is %v old; (e) its GetFrame gives no time to tell that by",
		buffers, age.Round(time.Millisecond))
	if buffers <= bufferCount || age < time.Second {
		t.Error("the library asks for few buffers now: allocate can do with less beside it")
	}
	if err := n.cam.StopStreaming(); err != nil {
		t.Error(err)
	}
	if _, err := n.requestBuffers(0); err != nil { // what it leaves behind
		t.Error(err)
	}
}

// The last one: vivid stays disconnected.
func TestVividDisconnectIsToldAtOnce(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Fatal(err)
	}
	lib, err := webcam.Open("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	inject(t, c, "disconnect", 1)
	began := Now()
	for range 10 {
		if err = c.Next(5*time.Second, ignore); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrGone) {
		t.Errorf("Next = %v, want ErrGone", err)
	}
	figure(t, "vivid", "disconnect: told after %v; %s", (Now() - began).Round(time.Microsecond),
		describeCounters(c.Counters()))
	waited := lib.WaitForFrame(5)
	figure(t, "blackjack/webcam alone", "(i) WaitForFrame on the camera that is gone: %v", waited)
	if waited != nil {
		t.Error("the library tells an unplugged camera now: Wait can do with less beside it")
	}
}
