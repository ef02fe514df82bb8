//go:build vm

// Tests against vivid, the kernel's virtual video driver. They run inside the VM
// that vivid_test.go boots.

package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// wish is small enough for an emulated processor.
var wish = Request{Device: "vivid", Width: 320, Height: 180, FPS: 15, Format: pixfmt.YUYV}

// queryControl is struct v4l2_queryctrl.
type queryControl struct {
	id, kind                         uint32
	name                             [32]byte
	minimum, maximum, step, standard int32
	flags                            uint32
	reserved                         [2]uint32
}

// inject sets one of vivid's fault controls by name.
func inject(t *testing.T, c *Camera, name string, value int32) {
	t.Helper()
	n := c.dev.(*node)
	q := new(queryControl)
	for {
		q.id |= 0x80000000 // V4L2_CTRL_FLAG_NEXT_CTRL
		if err := ioctl(n.fd, iocRead|iocWrite|unsafe.Sizeof(*q)<<16|'V'<<8|36, unsafe.Pointer(q)); err != nil {
			t.Fatalf("control %q: not found: %v", name, err)
		}
		if text(q.name[:]) != name {
			continue
		}
		if err := n.cam.SetControl(webcam.ControlID(q.id), value); err != nil {
			t.Fatalf("control %q: %v", name, err)
		}
		return
	}
}

func TestVividIsDiscovered(t *testing.T) {
	all, err := Discover()
	if err != nil || len(all) != 1 {
		t.Fatalf("Discover = %v, %v, want one camera", all, err)
	}
	nodes, _ := filepath.Glob("/dev/video*")
	t.Logf("%v; nodes %v", all[0], nodes)
	if len(nodes) < 3 {
		t.Errorf("nodes = %v: none that cannot capture", nodes)
	}
	accepted := 0
	for _, path := range nodes {
		if path == all[0].Path {
			continue
		}
		if _, err := Open(Request{Device: path}); !errors.Is(err, ErrNotCapture) {
			t.Errorf("Open(%s) = %v, want ErrNotCapture", path, err)
		}
		if w, err := webcam.Open(path); err == nil {
			accepted++
			w.Close()
		}
	}
	t.Logf("the library alone opened %d of the %d other nodes", accepted, len(nodes)-1)
}

func TestVividDeliversSixtyPictures(t *testing.T) {
	c := mustOpen(t, wish)
	t.Log(c.Why())
	var last uint32
	var first, at time.Duration
	for i := range 60 {
		err := c.Next(5*time.Second, func(b Buffer) error {
			if i > 0 && (b.Sequence <= last || b.At <= at) || b.At > Now() || len(b.Bytes) < b.Layout.Size {
				t.Errorf("picture %d: sequence %d after %d, %v after %v, now %v, %d bytes", i, b.Sequence, last, b.At, at, Now(), len(b.Bytes))
			}
			if i == 0 {
				first = b.At
			}
			last, at = b.Sequence, b.At
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("60 pictures in %v, interval %v", at-first, c.Interval())
	if got := testing.AllocsPerRun(20, func() {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Error(err)
		}
	}); got != 0 {
		t.Errorf("allocations for a picture = %v, want 0", got)
	}
}

func TestVividIsBusyForASecondProgram(t *testing.T) {
	c := mustOpen(t, wish)
	second, err := Open(wish)
	if !errors.Is(err, ErrBusy) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("second Open = %v, %v, want ErrBusy and EBUSY", second, err)
	}
	t.Log(err)
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Errorf("the first one after that: %v", err)
	}
}

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
	t.Logf("asked 700x500: driver took %v, library said %dx%d", l, width, height)
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
	t.Logf("the library alone, S_FMT after its StopStreaming: %v", n.setFormat(pixfmt.YUYV, 320, 180))
}

// held counts open descriptors and mapped buffers.
func held() (descriptors, mappings int) {
	fds, _ := os.ReadDir("/proc/self/fd")
	maps, _ := os.ReadFile("/proc/self/maps")
	return len(fds), strings.Count(string(maps), "/dev/video")
}

func TestVividLeavesNothingBehindWhenItRefusesToStart(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.dev.Stop(); err != nil {
		t.Fatal(err)
	}
	descriptors, mappings := held()
	for range 50 {
		inject(t, c, "Inject VIDIOC_STREAMON Error", 1)
		if err := c.dev.Start(bufferCount); err == nil {
			t.Fatal("Start went well in spite of the injected error")
		}
		if d, m := held(); d != descriptors || m != mappings {
			t.Fatalf("descriptors, mappings = %d, %d, want %d, %d", d, m, descriptors, mappings)
		}
	}
	if err := c.dev.Start(bufferCount); err != nil {
		t.Fatal(err)
	}
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Error(err)
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
	inject(t, c, "Inject VIDIOC_STREAMON Error", 1)
	err = w.StartStreaming()
	_, mappings := held()
	t.Logf("StartStreaming: %v; mappings left: %d", err, mappings)
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

func TestVividDamagedBuffersAreDropped(t *testing.T) {
	c := mustOpen(t, wish)
	for range 5 {
		inject(t, c, "Inject V4L2_BUF_FLAG_ERROR", 1)
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Counters().Damaged; got == 0 {
		t.Error("Damaged = 0, want some")
	}
}

func TestVividDroppedBuffersAreCounted(t *testing.T) {
	c := mustOpen(t, wish)
	inject(t, c, "Percentage of Dropped Buffers", 50)
	defer inject(t, c, "Percentage of Dropped Buffers", 0)
	for range 20 {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Counters().Missing; got == 0 {
		t.Error("Missing = 0, want some")
	}
}

func TestVividNeverDeliversAnOldPictureAfterAStall(t *testing.T) {
	c := mustOpen(t, wish)
	stall(t, c)
	if got := c.Counters().Stale; got == 0 {
		t.Error("Stale = 0, want some")
	}
}

func TestVividFatalErrorIsToldAndMendedByOpeningAgain(t *testing.T) {
	for range 3 {
		c := mustOpen(t, wish)
		inject(t, c, "Inject Fatal Streaming Error", 1)
		var err error
		for range 10 { // what was filled before still comes
			if err = c.Next(5*time.Second, ignore); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrGone) {
			t.Errorf("Next = %v, want ErrGone", err)
		}
		t.Log(err)
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// The last one: vivid stays disconnected.
func TestVividDisconnectIsToldAtOnce(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Fatal(err)
	}
	inject(t, c, "Disconnect", 1)
	began := Now()
	var err error
	for range 10 {
		if err = c.Next(5*time.Second, ignore); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrGone) {
		t.Errorf("Next = %v, want ErrGone", err)
	}
	t.Logf("%v after %v", err, Now()-began)
}
