//go:build vm

// Each fault of a virtual USB webcam, through the kernel's own uvcvideo, and what our counters
// show. Runs inside the VM that uvc_test.go boots.

package v4l2

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

var huffmanTable = []byte{0xff, 0xc4}

// streamWithFault streams with a fault for half a second, and then until the healed camera has
// delivered again. It returns the counters, and whether the last picture with the fault had
// Huffman tables. kind is how the camera sends.
func streamWithFault(t *testing.T, kind string, r Request, fault string) (got Counters, tables bool) {
	t.Helper()
	c := mustOpen(t, r)
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Fatal(err)
	}
	askHost("fault " + fault)
	for began := Now(); Now()-began < 500*time.Millisecond; {
		err := c.Next(100*time.Millisecond, func(b Buffer) error {
			tables = bytes.Contains(b.Bytes[:1024], huffmanTable)
			return nil
		})
		if err != nil && !errors.Is(err, ErrSilent) {
			t.Fatalf("%s: %v", fault, err)
		}
	}
	askHost("heal")
	good := 0
	for began := Now(); good < 3 && Now()-began < 10*time.Second; {
		if err := c.Next(time.Second, ignore); err == nil {
			good++
		}
	}
	if good < 3 {
		t.Errorf("%s: no pictures once healed", fault)
	}
	got = c.Counters()
	figure(t, "uvcvideo", "%s %v %s: %s", kind, c.Layout(), strings.TrimPrefix(fault, "fault "),
		describeCounters(got))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	return got, tables
}

// retryFault repeats streamWithFault until did returns true, three times at most: if the host
// stands still for half a second, the fault can be over before it met a picture.
func retryFault(t *testing.T, kind string, r Request, fault string,
	did func(got Counters, tables bool) bool) (got Counters, tables bool) {
	t.Helper()
	for range 3 {
		if got, tables = streamWithFault(t, kind, r, fault); did(got, tables) {
			break
		}
	}
	return got, tables
}

var (
	mjpg = Request{Device: "Virtual UVC", Width: 320, Height: 240, Format: pixfmt.MJPG}
	yuyv = Request{Device: "Virtual UVC", Width: 320, Height: 240, Format: pixfmt.YUYV}
)

func TestFaultsOfAPictureAreCountedByCause(t *testing.T) {
	awaitCamera(t)
	for _, c := range []struct {
		name  string
		r     Request
		fault string
		count func(Counters) uint64
	}{
		{"half a JPEG comes as a good buffer, which the decoder refuses", mjpg, "half",
			func(c Counters) uint64 { return c.Delivered }},
		{"an empty picture is a gap", mjpg, "empty", func(c Counters) uint64 { return c.Missing + c.Empty }},
		{"uvcvideo keeps a picture with the error bit to itself", mjpg, "errorbit",
			func(c Counters) uint64 { return c.Missing }},
		{"a JPEG of another size comes as a good buffer", mjpg, "resize",
			func(c Counters) uint64 { return c.Resized }},
		{"uvcvideo keeps half a YUYV picture to itself", yuyv, "half", func(c Counters) uint64 { return c.Missing }},
		{"a YUYV picture of another size", yuyv, "resize", func(c Counters) uint64 { return c.Missing + c.Short }},
		{"no bytes of YUYV", yuyv, "empty", func(c Counters) uint64 { return c.Missing + c.Empty }},
	} {
		counted := func(got Counters, _ bool) bool { return c.count(got) > 0 }
		if got, _ := retryFault(t, "bulk", c.r, c.fault, counted); c.count(got) == 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	for _, odd := range []string{"noend", "padding", "surplus", "fields"} {
		if got, _ := streamWithFault(t, "bulk", mjpg, odd); got.Truncated+got.Resized+got.Damaged > 0 {
			t.Errorf("a healthy camera whose JPEGs have an oddity (%s): %+v, want all delivered", odd, got)
		}
	}
	bad := func(c Counters) uint64 { return c.Damaged + c.Short + c.Empty + c.Truncated + c.Resized }
	without := func(_ Counters, tables bool) bool { return !tables }
	if got, tables := retryFault(t, "bulk", mjpg, "nohuffman", without); tables || bad(got) > 0 {
		t.Errorf("a JPEG without Huffman tables: tables = %v, %+v, want delivered as it is", tables, got)
	}
}

// With nodrop=1 uvcvideo passes damaged pictures on, flagged.
func TestFaultsThatTheDriverPassesOnAreDroppedByItsFlag(t *testing.T) {
	awaitCamera(t)
	nodrop(t, "1")
	for _, c := range []struct {
		r     Request
		fault string
		count func(Counters) uint64
	}{
		{mjpg, "errorbit", func(c Counters) uint64 { return c.Damaged }},
		{yuyv, "half", func(c Counters) uint64 { return c.Damaged + c.Short }},
	} {
		counted := func(got Counters, _ bool) bool { return c.count(got) > 0 }
		if got, _ := retryFault(t, "bulk, nodrop=1,", c.r, c.fault, counted); c.count(got) == 0 {
			t.Errorf("%v %s: %+v", c.r.Format, c.fault, got)
		}
	}
	nodrop(t, "0")
}

// nodrop sets the module's parameter, which it looks at when a camera is plugged in.
func nodrop(t *testing.T, value string) {
	t.Helper()
	if err := os.WriteFile("/sys/module/uvcvideo/parameters/nodrop", []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	askHost("unplug")
	for began := Now(); Now()-began < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if all, _ := Discover(); len(all) == 0 {
			break
		}
	}
	askHost("plug")
	awaitCamera(t)
}

func TestFaultStalledEndpointIsToldAndMendedByOpeningAgain(t *testing.T) {
	awaitCamera(t)
	c := mustOpen(t, mjpg)
	askHost("fault stall")
	began := Now()
	var err error
	for err == nil && Now()-began < 20*time.Second {
		err = c.Next(time.Second, ignore)
	}
	figure(t, "uvcvideo", "stalled endpoint: told after %v; %s", (Now() - began).Round(time.Millisecond),
		describeCounters(c.Counters()))
	if !errors.Is(err, ErrSilent) && !errors.Is(err, ErrGone) {
		t.Errorf("Next = %v, want ErrSilent or ErrGone", err)
	}
	askHost("heal")
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	healed := mustOpen(t, mjpg)
	if err := healed.Next(5*time.Second, ignore); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

func TestFaultFiftyRefusedStreamsLeaveNothingBehind(t *testing.T) {
	awaitCamera(t)
	askHost("fault refuse")
	for began := Now(); ; { // the host hears of it a moment later
		c, err := Open(mjpg)
		if err != nil {
			t.Log(err)
			break
		}
		if c.Close(); Now()-began > 5*time.Second {
			t.Fatal("the camera refuses nothing")
		}
	}
	before := countResources()
	for range 50 {
		if c, err := Open(mjpg); err == nil {
			c.Close()
			t.Fatal("Open went well though the camera refuses to stream")
		}
	}
	mustHoldNoMoreThan(t, before)
	askHost("heal")
	var c *Camera
	var err error
	for began := Now(); Now()-began < 5*time.Second; {
		if c, err = Open(mjpg); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Next(5*time.Second, ignore), c.Close()); err != nil {
		t.Error(err)
	}
	figure(t, "uvcvideo", "50 refused STREAMONs: nothing left over; then %s", describeCounters(c.Counters()))
}
