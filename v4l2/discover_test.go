package v4l2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestListNodesReadsNodesByNumber(t *testing.T) {
	class := fstest.MapFS{
		"class/video4linux/video10/name":     {Data: []byte("bcm2835-isp-capture0\n")},
		"class/video4linux/video2/name":      {Data: []byte("USB Camera: USB Camera\n")},
		"class/video4linux/v4l-subdev0/name": {Data: []byte("sensor\n")},
		"class/video4linux/video3/index":     {Data: []byte("0\n")}, // its name went away meanwhile
		"class/video4linux/vbi0/name":        {Data: []byte("teletext\n")},
		"class/video4linux/video2/device":    {Mode: fs.ModeSymlink, Data: []byte("../../../1-1.2:1.0")},
		"bus/usb/devices/1-1.2/serial":       {Data: []byte("AB12\n")},
	}
	got, err := listNodes(class)
	want := []Identity{{Path: "/dev/video2", Name: "USB Camera: USB Camera", Port: "1-1.2", Serial: "AB12"},
		{Path: "/dev/video10", Name: "bcm2835-isp-capture0"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("listNodes: %v (-want +got):\n%s", err, diff)
	}
	if got, err := listNodes(fstest.MapFS{}); len(got) != 0 || err != nil {
		t.Errorf("listNodes of an empty class = %v, %v, want nothing", got, err)
	}
}

func TestProbeNodesLeavesOutWhatCannotCapture(t *testing.T) {
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
	got := probeNodes(nodes, func(path string) (Device, error) {
		return Device{Identity: Identity{Path: path, Name: "its own name", Bus: "usb-1"}, Offers: offers},
			answers[path]
	})
	want := []Device{
		{Identity: Identity{Path: "/dev/video0", Name: "its own name", Bus: "usb-1"}, Offers: offers},
		{Identity: Identity{Path: "/dev/video2", Name: "name in sysfs"}, Problem: errPermission.Error()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("probeNodes (-want +got):\n%s", diff)
	}
}

func TestSelectDevice(t *testing.T) {
	offers := []Offer{{Format: pixfmt.YUYV}}
	isp := Device{Identity: Identity{Path: "/dev/video0", Name: "bcm2835-isp", Bus: "platform:isp"}, Offers: offers}
	usb := Device{Identity: Identity{Path: "/dev/video1", Name: "HD Webcam C920", Bus: "usb-1.2", Port: "1-1.2",
		Serial: "AB12"}, Offers: offers}
	second := Device{Identity: Identity{Path: "/dev/video2", Name: "Other Webcam", Bus: "usb-1.3", Port: "1-1.3",
		Serial: "AB13"}, Offers: offers}
	shut := Device{Identity: Identity{Path: "/dev/video3", Name: "Shut"}, Problem: "permission denied"}
	cases := []struct {
		name string
		all  []Device
		want string
		path string
		why  string
	}{
		{"the first USB camera without a name", []Device{isp, usb, second}, "", "/dev/video1",
			"the first USB camera of 3"},
		{"another kind if there is no USB camera", []Device{isp}, "", "/dev/video0", "the only camera"},
		{"one that cannot be opened, so that its problem is told", []Device{shut}, "", "/dev/video3",
			"the only camera"},
		{"part of the name, letter case aside", []Device{isp, usb, second}, "other web", "/dev/video2",
			`the only camera that is "other web"`},
		{"a name that two have", []Device{isp, usb, second}, "webcam", "/dev/video1",
			`the first USB camera of 2 that are "webcam"`},
		{"a serial number", []Device{isp, usb, second}, "ab13", "/dev/video2", `the only camera that is "ab13"`},
		{"half a serial number", []Device{isp, usb, second}, "ab1", "", ""},
		{"a USB port", []Device{isp, usb, second}, "1-1.3", "/dev/video2", `the only camera that is "1-1.3"`},
		{"half a USB port", []Device{isp, usb, second}, "1-1", "", ""},
		{"the bus as the driver writes it", []Device{isp, usb, second}, "usb-1.3", "/dev/video2",
			`the only camera that is "usb-1.3"`},
		{"a path", []Device{isp, usb}, "/dev/video1", "/dev/video1", `the only camera that is "/dev/video1"`},
		{"a node", []Device{isp, usb}, "video0", "/dev/video0", `the only camera that is "video0"`},
		{"no such name", []Device{isp, usb}, "logitech", "", ""},
		{"no camera at all", nil, "", "", ""},
	}
	for _, c := range cases {
		i, why, err := SelectDevice(c.all, c.want)
		path := ""
		if err == nil {
			path = c.all[i].Path
		}
		if path != c.path || why != c.why || (path == "") != errors.Is(err, ErrNoCamera) {
			t.Errorf("%s: SelectDevice = %q because %q, %v; want %q because %q", c.name, path, why, err, c.path,
				c.why)
		}
	}
	if _, _, err := SelectDevice([]Device{isp, usb}, "x"); !strings.Contains(err.Error(),
		"/dev/video1 HD Webcam C920") {
		t.Errorf("SelectDevice of an unknown name = %v: does not say what there is", err)
	}
}

func TestFindNodeTakesPathsAsTheyAre(t *testing.T) {
	for device, want := range map[string]string{"/dev/video7": "/dev/video7",
		"/dev/v4l/by-id/x": "/dev/v4l/by-id/x", "video7": "/dev/video7"} {
		if got, err := findNode(device); got != want || err != nil {
			t.Errorf("findNode(%q) = %q, %v, want %q", device, got, err, want)
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
	if got, want := (Device{Identity: Identity{Path: "/dev/video1", Name: "Shut"},
		Problem: "busy"}).String(), "/dev/video1 Shut: busy"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	d.Offers = []Offer{{pixfmt.YUYV,
		[]Size{{Width: 640, Height: 480, MinWidth: 640, MinHeight: 480, Intervals: []time.Duration{time.Second}}}}}
	b, err := json.Marshal(d)
	want := `{"path":"/dev/video0","name":"Cam","bus":"usb-1","driver":"uvcvideo",` +
		`"formats":[{"format":"YUYV","sizes":[` +
		`{"width":640,"height":480,"min_width":640,"min_height":480,"intervals_ns":[1000000000]}]}]}`
	if string(b) != want || err != nil {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
}
