package v4l2_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

func TestOpenTakesTheDriversAnswer(t *testing.T) {
	d := v4l2test.New(t)
	d.Layout = pixfmt.Layout{Format: pixfmt.YUYV, Width: 352, Height: 288, Stride: 768, Size: 768 * 288}
	d.Interval = 40 * time.Millisecond
	c := open(t, d, small)
	if c.Layout() != d.Layout || c.Interval() != d.Interval {
		t.Errorf("Layout, Interval = %+v, %v, want %+v, %v", c.Layout(), c.Interval(), d.Layout, d.Interval)
	}
	if got, want := c.String(), "Scripted /dev/video0 YUYV 352x288 25 fps"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	cases := []struct {
		name string
		set  func(*v4l2test.Device)
		want error
	}{
		{"another program streams, seen by S_FMT",
			func(d *v4l2test.Device) { d.SetFormatErr = []error{unix.EBUSY} }, v4l2.ErrBusy},
		{"another program streams, seen by REQBUFS", func(d *v4l2test.Device) { d.StartErr = []error{unix.EBUSY} },
			v4l2.ErrBusy},
		{"unplugged meanwhile", func(d *v4l2test.Device) { d.StartErr = []error{unix.ENODEV} }, v4l2.ErrGone},
		{"not allowed", func(d *v4l2test.Device) { d.SetFormatErr = []error{unix.EACCES} }, fs.ErrPermission},
		{"offers nothing that we read", func(d *v4l2test.Device) { d.Formats = nil }, v4l2.ErrNotCapture},
		{"no room on the bus for any format", func(d *v4l2test.Device) {
			d.StartErr = []error{unix.ENOSPC, unix.ENOSPC, unix.ENOSPC, unix.ENOSPC}
		}, unix.ENOSPC},
	}
	for _, c := range cases {
		d := v4l2test.New(t)
		c.set(d)
		cam, err := v4l2.OpenDriver(d, v4l2.Request{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: OpenDriver = %v, %v, want %v", c.name, cam, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has more than one line: %q", c.name, err)
		}
	}
}

func TestOpenStepsDownWhenTheBusIsFull(t *testing.T) {
	d := v4l2test.New(t)
	d.StartErr = []error{unix.ENOSPC}
	c := open(t, d, v4l2.Request{})
	if got, want := c.Layout().String(), "MJPG 640x480"; got != want {
		t.Errorf("Layout = %v, want %v", got, want)
	}
	want := "MJPG 640x480 at 30/s: compressed, light on the bus; " +
		"instead of YUYV 640x480, for which the bus has no room beside what else is on it"
	if got := c.ExplainChoice(); got != want {
		t.Errorf("ExplainChoice() = %q, want %q", got, want)
	}
}

func TestOpenPassesOverAFormatThatTheDriverExchanges(t *testing.T) {
	d := v4l2test.New(t)
	d.Layout, _ = pixfmt.New(pixfmt.MJPG, 640, 480, 0) // whatever is asked for
	c := open(t, d, v4l2.Request{})
	if got := c.Layout(); got != d.Layout {
		t.Errorf("Layout = %v, want %v", got, d.Layout)
	}
	if got := c.ExplainChoice(); !strings.HasSuffix(got,
		"; instead of YUYV 640x480, which the driver does not give") {
		t.Errorf("ExplainChoice() = %q, want the reason", got)
	}
}

func TestOpenPrefersTheFormatAskedFor(t *testing.T) {
	c := open(t, v4l2test.New(t), v4l2.Request{Format: pixfmt.MJPG})
	if got := c.Layout().Format; got != pixfmt.MJPG {
		t.Errorf("Format = %v, want MJPG", got)
	}
	c = open(t, v4l2test.New(t), v4l2.Request{Format: pixfmt.NV12})
	want := "YUYV 640x480 at 30/s: uncompressed, 18.4 MB/s; instead of NV12, which the camera does not offer"
	if got := c.ExplainChoice(); got != want {
		t.Errorf("a format that is not offered: %q, want %q", got, want)
	}
}
