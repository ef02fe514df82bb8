package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// deskCameras are two webcams and one that nobody may open.
func deskCameras() []v4l2.Device {
	vga := v4l2.Size{
		Width: 640, Height: 480, MinWidth: 640, MinHeight: 480,
		Intervals: []time.Duration{time.Second / 15, time.Second / 30},
	}
	hd := v4l2.Size{Width: 1280, Height: 720, MinWidth: 1280, MinHeight: 720,
		Intervals: []time.Duration{time.Second / 30}}
	any := v4l2.Size{
		Width: 1920, Height: 1080, MinWidth: 64, MinHeight: 64, StepX: 1, StepY: 1,
		Shortest: time.Second / 60, Longest: time.Second / 5,
	}
	offers := []v4l2.Offer{
		{Format: pixfmt.MJPG, Sizes: []v4l2.Size{vga, hd}},
		{Format: pixfmt.YUYV, Sizes: []v4l2.Size{vga}},
	}
	return []v4l2.Device{
		{Identity: v4l2.Identity{Path: "/dev/video0", Name: "Shut"}, Problem: "permission denied"},
		{
			Identity: v4l2.Identity{Path: "/dev/video2", Name: "HD Webcam", Bus: "usb-a-1.2", Port: "1-1.2",
				Serial: "AB12"},
			Offers: offers,
		},
		{Identity: v4l2.Identity{Path: "/dev/video4", Name: "Other Webcam", Bus: "usb-a-1.3", Port: "1-1.3"},
			Offers: offers},
		{
			Identity: v4l2.Identity{Path: "/dev/video6", Name: "Image processor", Bus: "platform:isp"},
			Offers:   []v4l2.Offer{{Format: pixfmt.NV12, Sizes: []v4l2.Size{any}}},
		},
	}
}

func TestCamerasPrintsATableThatAPersonUnderstands(t *testing.T) {
	l, err := listCameras(deskCameras(), config.Default())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.printTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `   NODE         CAMERA           USB PORT  SERIAL  FORMAT  SIZE                PICTURES/S
   /dev/video0  Shut                               -       -                   permission denied
*  /dev/video2  HD Webcam        1-1.2     AB12    MJPG    640x480             30 15
                                                           1280x720            30
                                                   YUYV    640x480             30 15
   /dev/video4  Other Webcam     1-1.3             MJPG    640x480             30 15
                                                           1280x720            30
                                                   YUYV    640x480             30 15
   /dev/video6  Image processor                    NV12    64x64 to 1920x1080  60 to 5

* would be taken: it is the first USB camera of 4.
  It would be asked for YUYV 640x480 at 30/s: uncompressed, 18.4 MB/s.
`
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestCamerasFollowsTheConfiguration(t *testing.T) {
	cases := []struct {
		name, device string
		size         config.Size
		taken, why   string // parts of the verdict
	}{
		{"by name", "other", config.Size{}, "/dev/video4", `the only camera that is "other"`},
		{"by serial number", "ab12", config.Size{}, "/dev/video2", `the only camera that is "ab12"`},
		{"by USB port, in a size that needs MJPG", "1-1.3", config.Size{Width: 1280, Height: 720}, "/dev/video4",
			"MJPG 1280x720 at 30/s: compressed"},
		{"one that is shut", "/dev/video0", config.Size{}, "/dev/video0", "permission denied"},
		{"none of that name", "logitech", config.Size{}, "",
			"None would be taken: no such camera: there is /dev/video0 Shut"},
	}
	for _, c := range cases {
		conf := config.Default()
		conf.Camera.Device, conf.Stream.Size = c.device, c.size
		l, err := listCameras(deskCameras(), conf)
		if (c.taken == "") != errors.Is(err, v4l2.ErrNoCamera) || l.Taken != c.taken ||
			!strings.Contains(l.verdict(), c.why) {
			t.Errorf("%s: taken = %q, %v, verdict %q; want %q and %q", c.name, l.Taken, err, l.verdict(), c.taken,
				c.why)
		}
	}
}

func TestCamerasSpeaksToPrograms(t *testing.T) {
	l, err := listCameras(deskCameras(), config.Default())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Cameras []struct {
			Path, Port, Serial string
			Taken              bool
			Mode               *struct{ Format, Why string }
		}
		Taken, Why string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Taken != "/dev/video2" || !got.Cameras[1].Taken || got.Cameras[0].Taken || got.Cameras[0].Mode != nil ||
		got.Cameras[1].Mode.Format != "YUYV" || got.Cameras[1].Serial != "AB12" || got.Why == "" {
		t.Errorf("JSON = %s", b)
	}
}
