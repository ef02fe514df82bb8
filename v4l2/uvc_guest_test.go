//go:build vm

// Tests against uvcvideo with a virtual USB webcam. They run inside the VM that
// uvc_test.go boots.

package v4l2

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// askHost asks the host, which plays the camera, for one of the events in uvc_test.go.
func askHost(what string) { fmt.Printf("\nhost: %s\n", what) }

// awaitCamera waits for a camera that was just plugged in.
func awaitCamera(t *testing.T) Device {
	t.Helper()
	for began := Now(); Now()-began < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		if all, err := Discover(); err != nil {
			t.Fatal(err)
		} else if len(all) > 0 && len(all[0].Offers) > 0 {
			return all[0]
		}
	}
	t.Fatal("no camera within 30 s")
	return Device{}
}

func TestUVCIsDiscoveredWithoutItsMetadataNode(t *testing.T) {
	d := awaitCamera(t)
	nodes, _ := filepath.Glob("/dev/video*")
	t.Logf("%v; nodes %v", d, nodes)
	all, err := Discover()
	if len(all) != 1 || err != nil || len(nodes) != 2 {
		t.Errorf("Discover = %v, %v, nodes %v, want one camera of two nodes", all, err, nodes)
	}
	if _, err := Open(Request{Device: "/dev/video1"}); !errors.Is(err, ErrNotCapture) {
		t.Errorf("Open of the metadata node = %v, want ErrNotCapture", err)
	}
}

func TestUVCDeliversEachFormat(t *testing.T) {
	awaitCamera(t)
	for _, r := range []Request{
		{Width: 320, Height: 240, Format: pixfmt.YUYV},
		{Width: 320, Height: 240, Format: pixfmt.MJPG},
		{Width: 640, Height: 480, Format: pixfmt.MJPG},
		{Width: 320, Height: 240}, // chosen
	} {
		c := mustOpen(t, r)
		t.Log(c.ExplainChoice())
		var first, last, oldest time.Duration
		const pictures = 60
		for i := range pictures {
			err := c.Next(5*time.Second, func(b Buffer) error {
				if i == 0 {
					first = b.At
					if !mapped(b.Bytes) {
						t.Error("the picture was copied: its bytes are not the driver's memory")
					}
				}
				last, oldest = b.At, max(oldest, Now()-b.At)
				return nil
			})
			if err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
		figure(t, "uvcvideo", "%v (%v): %.1f pictures/s, oldest %v; %s", c.Layout(), c.Colours(),
			(pictures-1)/(last-first).Seconds(), oldest.Round(time.Microsecond), describeCounters(c.Counters()))
		if second, err := Open(r); !errors.Is(err, ErrBusy) {
			t.Errorf("second Open = %v, %v, want ErrBusy", second, err)
		}
		if err := c.Close(); err != nil { // the next one must find the camera free
			t.Fatal(err)
		}
	}
}

func TestUVCNeverDeliversAnOldPictureAfterAStall(t *testing.T) {
	awaitCamera(t)
	measureStall(t, mustOpen(t, Request{Width: 320, Height: 240, Format: pixfmt.MJPG}), "uvcvideo")
}

func TestUVCHangIsTold(t *testing.T) {
	awaitCamera(t)
	c := mustOpen(t, Request{Width: 320, Height: 240, Format: pixfmt.MJPG})
	askHost("hang")
	defer askHost("heal")
	var err error
	last := Now()
	for began := Now(); err == nil && Now()-began < 20*time.Second; {
		if err = c.Next(time.Second, ignore); err == nil {
			last = Now()
		}
	}
	figure(t, "uvcvideo", "hang: told %v after the last picture, when asked to wait 1s; %s",
		(Now() - last).Round(time.Millisecond), describeCounters(c.Counters()))
	if !errors.Is(err, ErrSilent) {
		t.Errorf("Next = %v, want ErrSilent", err)
	}
}

func TestUVCLowLightCostsNoPicturesUnasked(t *testing.T) {
	awaitCamera(t)
	for _, wanted := range []map[string]int64{nil, {"exposure_dynamic_framerate": 1}} {
		c := mustOpen(t, Request{Width: 320, Height: 240, Format: pixfmt.MJPG, Controls: wanted})
		got, err := c.dev.(*node).cam.GetControl(exposurePriority)
		if want := wanted["exposure_dynamic_framerate"]; int64(got) != want || err != nil || len(c.Complaints()) > 0 {
			t.Errorf("exposure priority = %d, %v, complaints %q, want %d", got, err, c.Complaints(), want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
