//go:build vm

// What opening again does not mend, with the rights that camsource has on a board, and two
// cameras at once. Runs inside the VM that uvc_test.go boots, behind the tests of
// faults_guest_test.go: files run in the order of their names.

package v4l2

import (
	"errors"
	"io/fs"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// What camsource is on a board, see package board.
const camsourceUser, videoGroup = 2001, 44

// asCamsource runs f on a thread that has the rights to files of camsource and no others.
func asCamsource(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for _, set := range []error{unix.Setgroups(nil), unix.Setfsgid(videoGroup), unix.Setfsuid(camsourceUser)} {
			if set != nil {
				done <- set
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// Opening again mends none of these; each rung of the ladder mends what it is there for.
func TestFaultThatOnlyUSBCanMendIsMended(t *testing.T) {
	port := awaitCamera(t).Port
	if err := asCamsource(t, func() error { return usb.Reset(port) }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("reset by a user whom nobody gave the device to: %v, want ErrPermission", err)
	}
	for _, c := range []struct {
		name, fault string
		mend        func() error
	}{
		{"reset", "hang until reset", func() error { return usb.Reset(port) }},
		{"authorisation", "hang until configured", func() error { return usb.Reauthorise(t.Context(), port) }},
		{"port power", "hang until reset", func() error { return usb.CyclePower(t.Context(), port) }},
	} {
		askHost(c.fault)
		for range 2 {
			camera, err := Open(mjpg)
			for err == nil {
				err = camera.Next(500*time.Millisecond, ignore)
			}
			if !errors.Is(err, ErrSilent) {
				t.Fatalf("%s: %v, want ErrSilent", c.fault, err)
			}
			if err := camera.Close(); err != nil {
				t.Error(err)
			}
		}
		began := Now()
		if err := usb.ShareCameras(videoGroup); err != nil { // as init does when a node appears
			t.Fatal(err)
		}
		if err := asCamsource(t, c.mend); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		mended := Now()
		camera, _ := firstPicture(t, mjpg)
		figure(t, "uvcvideo",
			"camera that hangs mended by USB %s, as user %d: that took %v, the first picture came %v after it began",
			c.name, camsourceUser, (mended - began).Round(time.Millisecond), (Now() - began).Round(time.Millisecond))
		if err := camera.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The last one: the second camera stays.
func TestFaultlessSecondCameraIsIsochronousAndChosenByWhatItIs(t *testing.T) {
	first := awaitCamera(t)
	askHost("second")
	var all []Device
	for began := Now(); len(all) < 2 && Now()-began < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		all, _ = Discover()
	}
	if len(all) != 2 {
		t.Fatalf("cameras = %v, want two", all)
	}
	second := all[1]
	if second.Path == first.Path {
		second = all[0]
	}
	t.Logf("first: %+v; second: %+v", first.Identity, second.Identity)
	one := mustOpen(t, mjpg)
	for _, device := range []string{"iso", "SECOND-2", second.Port, second.Bus} {
		c, err := Open(Request{Device: device, Width: 320, Height: 240, Format: pixfmt.MJPG})
		if err != nil {
			t.Fatalf("%q: %v", device, err)
		}
		if got := c.Identity(); got.Path != second.Path || got.Serial != "second-2" {
			t.Errorf("%q opened %+v, want %+v", device, got, second.Identity)
		}
		for range 15 {
			for _, c := range []*Camera{one, c} {
				if err := c.Next(5*time.Second, ignore); err != nil {
					t.Fatalf("%v: %v", c, err)
				}
			}
		}
		figure(t, "uvcvideo", "two cameras, one chosen by %q: isochronous %s; bulk %s", device,
			describeCounters(c.Counters()),
			describeCounters(one.Counters()))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	askHost("unplug")
	var err error
	for began := Now(); err == nil && Now()-began < 20*time.Second; {
		err = one.Next(5*time.Second, ignore)
	}
	if !errors.Is(err, ErrGone) {
		t.Errorf("the first one, pulled: %v, want ErrGone", err)
	}
	c := mustOpen(t, Request{Device: second.Port, Width: 320, Height: 240})
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Errorf("the second one after the first was pulled: %v", err)
	}
}
