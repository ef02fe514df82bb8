//go:build vm

// Two isochronous webcams on a bus that has no room for both uncompressed. Runs inside the VM
// that uvc_test.go boots.

package v4l2

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestShareTheSecondCameraStepsDownWhenTheBusIsFull(t *testing.T) {
	first := awaitCamera(t)
	askHost("second")
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
	two := mustOpen(t, r)
	const noRoom = "; instead of YUYV 320x240, for which the bus has no room beside what else is on it"
	if got := two.Layout().Format; got != pixfmt.MJPG || !strings.HasPrefix(two.Fallback(), noRoom) {
		t.Errorf("Format = %v%s, want MJPG%s", got, two.Fallback(), noRoom)
	}
	for range 10 {
		for _, c := range []*Camera{one, two} {
			if err := c.Next(5*time.Second, ignore); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
	}
	if got := two.Colours(); !got.FullRange {
		t.Errorf("colours = %v, want JPEG's full range", got)
	}
	figure(t, "uvcvideo", "second camera on a full bus: %s; %s beside %s", two.ExplainChoice(),
		describeCounters(two.Counters()), describeCounters(one.Counters()))
}

// Here the first camera is isochronous too.
func TestShareFaultsOfAnIsochronousCameraAreCountedByCause(t *testing.T) {
	awaitCamera(t)
	for fault, count := range map[string]func(Counters) uint64{
		"empty":    func(c Counters) uint64 { return c.Missing + c.Empty },
		"errorbit": func(c Counters) uint64 { return c.Missing },
		"resize":   func(c Counters) uint64 { return c.Resized },
	} {
		if got, _ := streamWithFault(t, "isochronous", mjpg, fault); count(got) == 0 {
			t.Errorf("%s: %+v", fault, got)
		}
	}
}

// The program itself, in front of two cameras that a kernel sees.
func TestShareCamerasAreListedForPersonsAndPrograms(t *testing.T) {
	out, err := exec.Command("/camsource", "cameras", "--camera", "second-2").CombinedOutput()
	t.Logf("%v\n%s", err, out)
	for _, want := range []string{
		`(?m)^ +/dev/video\d +Virtual UVC +1-1 +0001 +MJPG +\d+x\d+ +30 15 10$`,
		`(?m)^\* +/dev/video\d +Virtual iso +1-2 +second-2 +MJPG +\d+x\d+ +30 15 10$`,
		`(?m)^ +YUYV +\d+x\d+ +30 15 10$`,
		`\* would be taken: it is the only camera that is "second-2".\n` +
			`  It would be asked for YUYV 640x480 at 30/s: uncompressed, 18.4 MB/s.\n$`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the table lacks %s", want)
		}
	}
	var l struct {
		Cameras []struct {
			Serial   string
			Taken    bool
			Formats  []Offer
			Controls []Control
		}
		Taken string
	}
	out, err = exec.Command("/camsource", "cameras", "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &l)
	}
	if err != nil || len(l.Cameras) != 2 || l.Taken != "/dev/video0" || !l.Cameras[0].Taken ||
		len(l.Cameras[1].Formats) != 2 || len(l.Cameras[1].Controls) != 1 {
		t.Errorf("--json: %v, %s", err, out)
	}
	figure(t, "camsource cameras", "%d cameras in a table and as JSON of %d bytes", len(l.Cameras), len(out))
}
