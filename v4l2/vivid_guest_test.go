//go:build vm

// Tests against vivid, the kernel's virtual video driver. They run inside the VM
// that vivid_test.go boots.

package v4l2

import (
	"errors"
	"path/filepath"
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
	there, err := c.dev.ListControls()
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
	figure(t, "blackjack/webcam alone", "(b) opened %d of the %d nodes that cannot capture", accepted, len(nodes)-1)
	if accepted == 0 {
		t.Error("the library looks at the node's capabilities now: identify can do with less beside it")
	}
}

func TestVividDeliversSixtyPictures(t *testing.T) {
	c := mustOpen(t, wish)
	t.Log(c.ExplainChoice())
	var last uint32
	var first, at time.Duration
	for i := range 60 {
		err := c.Next(5*time.Second, func(b Buffer) error {
			if i > 0 && (b.Sequence <= last || b.At <= at) || b.At > Now() || len(b.Bytes) < b.Layout.Size {
				t.Errorf("picture %d: sequence %d after %d, %v after %v, now %v, %d bytes", i, b.Sequence, last,
					b.At, at, Now(), len(b.Bytes))
			}
			if i == 0 {
				first = b.At
			}
			if i == 0 && !mapped(b.Bytes) {
				t.Error("the picture was copied: its bytes are not the driver's memory")
			}
			last, at = b.Sequence, b.At
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	allocs := testing.AllocsPerRun(20, func() {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("allocations for a picture = %v, want 0", allocs)
	}
	figure(t, "vivid", "60 pictures in %v at an interval of %v, %v allocations and 0 copies for a picture; %s",
		(at - first).Round(time.Millisecond), c.Interval(), allocs, describeCounters(c.Counters()))
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

func TestVividNeverDeliversAnOldPictureAfterAStall(t *testing.T) {
	c := mustOpen(t, wish)
	measureStall(t, c, "vivid")
	if got := c.Counters().Stale; got == 0 {
		t.Error("Stale = 0, want some")
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

// The TV input of vivid offers a range of sizes in steps, as sensors do.
func TestVividOffersARangeOfSizesThatIsMet(t *testing.T) {
	n, err := openNode("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.cam.SelectInput(1); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.cam.SelectInput(0); err != nil {
			t.Error(err)
		}
	}()
	offers, err := n.ListOffers()
	if err != nil {
		t.Fatal(err)
	}
	choices := Choose(Request{Width: 700, Height: 500, FPS: 15, Format: pixfmt.YUYV}, offers)
	if len(choices) != 1 || choices[0].Width != 700 || choices[0].Height != 500 {
		t.Fatalf("choices = %+v of %v, want 700x500", choices, offers)
	}
	t.Log(choices[0].Why)
	if l, err := n.SetFormat(pixfmt.YUYV, choices[0].Width, choices[0].Height); err != nil || l.Width != 700 ||
		l.Height != 500 {
		t.Errorf("SetFormat = %+v, %v, want 700x500", l, err)
	}
}
