package v4l2

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestScanReadsNodesByNumber(t *testing.T) {
	class := fstest.MapFS{
		"video10/name":     {Data: []byte("bcm2835-isp-capture0\n")},
		"video2/name":      {Data: []byte("USB Camera: USB Camera\n")},
		"v4l-subdev0/name": {Data: []byte("sensor\n")},
		"video3/index":     {Data: []byte("0\n")}, // its name went away meanwhile
		"vbi0/name":        {Data: []byte("teletext\n")},
	}
	got, err := scan(class)
	want := []Identity{{Path: "/dev/video2", Name: "USB Camera: USB Camera"}, {Path: "/dev/video10", Name: "bcm2835-isp-capture0"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("scan: %v (-want +got):\n%s", err, diff)
	}
	if got, err := scan(fstest.MapFS{}); len(got) != 0 || err != nil {
		t.Errorf("scan of an empty class = %v, %v, want nothing", got, err)
	}
}

func TestProbeAllLeavesOutWhatCannotCapture(t *testing.T) {
	answers := map[string]error{
		"/dev/video0": nil,
		"/dev/video1": fmt.Errorf("metadata: %w", ErrNotCapture),
		"/dev/video2": errPermission,
		"/dev/video3": fmt.Errorf("unplugged: %w", ErrNoCamera),
	}
	var nodes []Identity
	for _, p := range []string{"/dev/video0", "/dev/video1", "/dev/video2", "/dev/video3"} {
		nodes = append(nodes, Identity{Path: p, Name: "name in sysfs"})
	}
	offers := []Offer{{Format: pixfmt.MJPG, Sizes: []Size{at(640, 480, 30)}}}
	got := probeAll(nodes, func(path string) (Identity, []Offer, error) {
		return Identity{Path: path, Name: "its own name", Bus: "usb-1"}, offers, answers[path]
	})
	want := []Device{
		{Identity: Identity{Path: "/dev/video0", Name: "its own name", Bus: "usb-1"}, Offers: offers},
		{Identity: Identity{Path: "/dev/video2", Name: "name in sysfs"}, Problem: errPermission.Error()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("probeAll (-want +got):\n%s", diff)
	}
}

func TestPick(t *testing.T) {
	offers := []Offer{{Format: pixfmt.YUYV}}
	isp := Device{Identity: Identity{Path: "/dev/video0", Name: "bcm2835-isp", Bus: "platform:isp"}, Offers: offers}
	usb := Device{Identity: Identity{Path: "/dev/video1", Name: "HD Webcam C920", Bus: "usb-1.2"}, Offers: offers}
	second := Device{Identity: Identity{Path: "/dev/video2", Name: "Other Webcam", Bus: "usb-1.3"}, Offers: offers}
	shut := Device{Identity: Identity{Path: "/dev/video3", Name: "Shut"}, Problem: "permission denied"}
	cases := []struct {
		name string
		all  []Device
		want string
		path string
	}{
		{"the first USB camera without a name", []Device{isp, usb, second}, "", "/dev/video1"},
		{"another kind if there is no USB camera", []Device{isp}, "", "/dev/video0"},
		{"one that cannot be opened, so that its problem is told", []Device{shut}, "", "/dev/video3"},
		{"part of the name, letter case aside", []Device{isp, usb, second}, "other web", "/dev/video2"},
		{"no such name", []Device{isp, usb}, "logitech", ""},
		{"no camera at all", nil, "", ""},
	}
	for _, c := range cases {
		path, err := pick(c.all, c.want)
		if path != c.path || (path == "") != errors.Is(err, ErrNoCamera) {
			t.Errorf("%s: pick = %q, %v, want %q", c.name, path, err, c.path)
		}
	}
	if _, err := pick([]Device{isp, usb}, "x"); !strings.Contains(err.Error(), "/dev/video1 HD Webcam C920") {
		t.Errorf("pick of an unknown name = %v: does not say what there is", err)
	}
}

func TestFindTakesPathsAsTheyAre(t *testing.T) {
	for device, want := range map[string]string{"/dev/video7": "/dev/video7", "/dev/v4l/by-id/x": "/dev/v4l/by-id/x", "video7": "/dev/video7"} {
		if got, err := find(device); got != want || err != nil {
			t.Errorf("find(%q) = %q, %v, want %q", device, got, err, want)
		}
	}
}

func TestDeviceSpeaksToPersonsAndPrograms(t *testing.T) {
	d := Device{
		Identity: Identity{Path: "/dev/video0", Name: "Cam", Bus: "usb-1", Driver: "uvcvideo"},
		Offers: []Offer{
			{pixfmt.YUYV, []Size{at(640, 480, 30, 15)}},
			{pixfmt.NV12, []Size{{Width: 1920, Height: 1080, MinWidth: 48, MinHeight: 32, StepX: 2, StepY: 2}}},
		},
	}
	if got, want := d.String(), "/dev/video0 Cam (usb-1): YUYV 640x480@30; NV12 48x32 to 1920x1080"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := (Device{Identity: Identity{Path: "/dev/video1", Name: "Shut"}, Problem: "busy"}).String(), "/dev/video1 Shut: busy"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	d.Offers = []Offer{{pixfmt.YUYV, []Size{{Width: 640, Height: 480, MinWidth: 640, MinHeight: 480, Intervals: []time.Duration{time.Second}}}}}
	b, err := json.Marshal(d)
	want := `{"path":"/dev/video0","name":"Cam","bus":"usb-1","driver":"uvcvideo","formats":[{"format":"YUYV","sizes":[` +
		`{"width":640,"height":480,"min_width":640,"min_height":480,"intervals_ns":[1000000000]}]}]}`
	if string(b) != want || err != nil {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
}
