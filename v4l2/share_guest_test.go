//go:build vm

// Two isochronous webcams on a bus that has no room for both uncompressed. Runs inside the VM
// that uvc_test.go boots.

package v4l2

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestShareTheSecondCameraStepsDownWhenTheBusIsFull(t *testing.T) {
	first := appear(t)
	host("second")
	for began := Now(); ; time.Sleep(20 * time.Millisecond) {
		if all, _ := Discover(); len(all) == 2 {
			break
		} else if Now()-began > 20*time.Second {
			t.Fatalf("cameras = %v, want two", all)
		}
	}
	one := mustOpen(t, Request{Device: first.Serial, Width: 320, Height: 240})
	if err := one.Next(5*time.Second, ignore); err != nil {
		t.Fatal(err)
	}
	r := Request{Device: "second-2", Width: 320, Height: 240, Format: pixfmt.YUYV}
	if two, err := Open(r); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("a second YUYV = %v, %v, want ENOSPC", two, err)
	}
	r.Format = 0
	two := mustOpen(t, r)
	if got := two.Layout().Format; got != pixfmt.MJPG {
		t.Errorf("Format = %v, want MJPG", got)
	}
	for range 10 {
		for _, c := range []*Camera{one, two} {
			if err := c.Next(5*time.Second, ignore); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
	}
	figure(t, "uvcvideo", "second camera on a full bus: %s; %s beside %s", two.Why(), said(two.Counters()), said(one.Counters()))
}
