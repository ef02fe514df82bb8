//go:build vm

// Tests against vivid, the kernel's virtual video driver. They run inside the VM
// that vivid_test.go boots.

package v4l2

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// wish is small enough for an emulated processor.
var wish = Request{Device: "vivid", Width: 320, Height: 180, FPS: 15, Format: pixfmt.YUYV}

// inject sets one of vivid's fault controls by name.
func inject(t *testing.T, c *Camera, name string, value int64) {
	t.Helper()
	there, err := c.dev.Controls()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range there {
		if k.Name == name {
			if err := c.dev.SetControl(k.ID, value); err != nil {
				t.Fatalf("control %q: %v", name, err)
			}
			return
		}
	}
	t.Fatalf("control %q is not among %v", name, there)
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

func TestVividLeavesNothingBehindWhenItRefusesToStart(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.dev.Stop(); err != nil {
		t.Fatal(err)
	}
	before := holding()
	for range 50 {
		inject(t, c, "inject_vidioc_streamon_error", 1)
		if err := c.dev.Start(bufferCount); err == nil {
			t.Fatal("Start went well in spite of the injected error")
		}
	}
	mustHoldNoMoreThan(t, before)
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
	inject(t, c, "inject_vidioc_streamon_error", 1)
	err = w.StartStreaming()
	mappings := holding().mappings
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
		inject(t, c, "inject_v4l2_buf_flag_error", 1)
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
	inject(t, c, "percentage_of_dropped_buffers", 50)
	defer inject(t, c, "percentage_of_dropped_buffers", 0)
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
		inject(t, c, "inject_fatal_streaming_error", 1)
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

func TestVividSetsControlsByNameAndTellsWhatItCannotSet(t *testing.T) {
	r := wish
	r.Controls = map[string]int64{"brightness": 77, "contrast": 1 << 20, "no_such_control": 1}
	c := mustOpen(t, r)
	t.Logf("%q", c.Complaints())
	if got := c.Complaints(); len(got) != 2 {
		t.Errorf("complaints = %q, want one about contrast and one about no_such_control", got)
	}
	const brightness = 0x00980900 // V4L2_CID_BRIGHTNESS
	if got, err := c.dev.(*node).cam.GetControl(brightness); got != 77 || err != nil {
		t.Errorf("brightness = %d, %v, want 77", got, err)
	}
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Error(err)
	}
}

func TestVividFaultsOfTheQueueAreToldAndMendedByOpeningAgain(t *testing.T) {
	for _, name := range []string{"inject_vidioc_reqbufs_error", "inject_vidioc_qbuf_error"} {
		c := mustOpen(t, wish)
		if err := c.dev.Stop(); err != nil {
			t.Fatal(err)
		}
		inject(t, c, name, 1)
		err := c.dev.Start(bufferCount)
		t.Logf("%s: %v", name, err)
		if err == nil {
			t.Errorf("%s: Start went well", name)
		}
		if err := c.dev.Start(bufferCount); err != nil {
			t.Errorf("%s: Start after that: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestVividSequenceAndTimeMayWrap(t *testing.T) {
	for _, name := range []string{"wrap_sequence_number", "wrap_timestamp"} {
		c := mustOpen(t, wish)
		inject(t, c, name, 1)
		for range 20 {
			if err := c.Next(5*time.Second, ignore); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		t.Logf("%s: %+v", name, c.Counters())
		inject(t, c, name, 0)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The last one: vivid stays disconnected.
func TestVividDisconnectIsToldAtOnce(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Fatal(err)
	}
	inject(t, c, "disconnect", 1)
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
