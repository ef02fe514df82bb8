package v4l2

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// at is one size with its rates.
func at(width, height int, fps ...float64) Size {
	s := Size{Width: width, Height: height, MinWidth: width, MinHeight: height}
	for _, f := range fps {
		s.Intervals = append(s.Intervals, time.Duration(float64(time.Second)/f))
	}
	return s
}

// commonCamera is what a common USB 2 camera offers.
var commonCamera = []Offer{
	{pixfmt.YUYV, []Size{at(640, 480, 30, 15), at(320, 240, 30), at(1280, 720, 10), at(1920, 1080, 5)}},
	{pixfmt.MJPG, []Size{at(640, 480, 30), at(320, 240, 30), at(1280, 720, 30), at(1920, 1080, 30)}},
}

func TestChoose(t *testing.T) {
	usb3 := []Offer{
		{pixfmt.YUYV, []Size{at(1280, 720, 60, 30), at(640, 480, 60, 30)}},
		{pixfmt.MJPG, []Size{at(1280, 720, 60, 30), at(640, 480, 60, 30)}},
	}
	many := []Offer{
		{pixfmt.MJPG, []Size{at(640, 480, 30)}}, {pixfmt.UYVY, []Size{at(640, 480, 30)}},
		{pixfmt.YUYV, []Size{at(640, 480, 30)}},
		{pixfmt.NV12, []Size{at(640, 480, 30)}}, {pixfmt.YU12, []Size{at(640, 480, 30)}},
	}
	stepwise := []Offer{{pixfmt.YUYV,
		[]Size{{Width: 1920, Height: 1080, MinWidth: 48, MinHeight: 32, StepX: 16, StepY: 8}}}}
	anything := []Offer{{pixfmt.NV12,
		[]Size{{Width: 4096, Height: 2160, MinWidth: 16, MinHeight: 16, StepX: 1, StepY: 1,
			Shortest: time.Second / 120, Longest: time.Second}}}}
	cases := []struct {
		name   string
		r      Request
		offers []Offer
		want   string
		fps    float64
	}{
		{"nothing asked for is 640x480 at 30", Request{}, commonCamera, "YUYV 640x480", 30},
		{"uncompressed fits the bus at 320x240", Request{Width: 320, Height: 240}, commonCamera, "YUYV 320x240", 30},
		{"720p uncompressed is too slow, so MJPG", Request{Width: 1280, Height: 720}, commonCamera, "MJPG 1280x720",
			30},
		{"720p uncompressed at 10 fits and is fast enough", Request{Width: 1280, Height: 720, FPS: 10},
			commonCamera, "YUYV 1280x720", 10},
		{"1080p uncompressed at 5 is 20.7 MB/s", Request{Width: 1920, Height: 1080, FPS: 5}, commonCamera,
			"MJPG 1920x1080", 30},
		{"720p at 30 does not fit even where it is offered", Request{Width: 1280, Height: 720}, usb3,
			"MJPG 1280x720", 30},
		{"640x480 at 60 does not fit", Request{FPS: 60}, usb3, "MJPG 640x480", 60},
		{"640x480 at 30 fits though 60 is offered too", Request{}, usb3, "YUYV 640x480", 30},
		{"a forced format is obeyed", Request{Format: pixfmt.MJPG}, commonCamera, "MJPG 640x480", 30},
		{"a narrow bus gets MJPG where a wide one does not", Request{RawRate: 8_000_000, FPS: 15}, commonCamera,
			"MJPG 640x480", 30},
		{"and uncompressed where that fits", Request{RawRate: 8_000_000, Width: 320, Height: 240}, commonCamera,
			"YUYV 320x240", 30},
		{"least conversion first", Request{}, many, "YU12 640x480", 30},
		{"the largest size within the wish", Request{Width: 800, Height: 600}, commonCamera, "YUYV 640x480", 30},
		{"the smallest size beyond it when none is within", Request{Width: 160, Height: 120}, commonCamera,
			"YUYV 320x240", 30},
		{"29.97 counts as 30", Request{},
			[]Offer{{pixfmt.YUYV, []Size{at(640, 480, 29.97)}}, {pixfmt.MJPG, []Size{at(640, 480, 30)}}},
			"YUYV 640x480", 29.97},
		{"15 is too slow for 30, so MJPG", Request{},
			[]Offer{{pixfmt.YUYV, []Size{at(640, 480, 15)}}, {pixfmt.MJPG, []Size{at(640, 480, 30)}}},
			"MJPG 640x480", 30},
		{"15 is taken when nothing is faster", Request{}, []Offer{{pixfmt.YUYV, []Size{at(640, 480, 15, 5)}}},
			"YUYV 640x480", 15},
		{"60 is taken for 30 when only 15 is the other", Request{},
			[]Offer{{pixfmt.MJPG, []Size{at(640, 480, 60, 15)}}}, "MJPG 640x480", 60},
		{"a range of sizes is met in its steps", Request{Width: 700, Height: 500}, stepwise, "YUYV 688x496", 30},
		{"a wish below the range gets its least", Request{Width: 16, Height: 16}, stepwise, "YUYV 48x32", 30},
		{"a continuous range is met exactly, in size and rate", Request{Width: 700, Height: 500, FPS: 24}, anything,
			"NV12 700x500", 24},
		{"a driver without sizes is asked for the wish", Request{}, []Offer{{Format: pixfmt.YUYV}}, "YUYV 640x480",
			30},
		{"formats nobody converts are left out", Request{}, []Offer{{Format: 1}, {Format: pixfmt.NV12}},
			"NV12 640x480", 30},
	}
	for _, c := range cases {
		all := Choose(c.r, c.offers)
		if len(all) == 0 {
			t.Errorf("%s: no choice", c.name)
			continue
		}
		got := pixfmt.Layout{Format: all[0].Format, Width: all[0].Width, Height: all[0].Height}.String()
		fps := 1 / all[0].Interval.Seconds()
		if got != c.want || fps < c.fps*0.999 || fps > c.fps*1.001 {
			t.Errorf("%s: Choose = %v at %.3f (%s), want %v at %v", c.name, got, fps, all[0].Why, c.want, c.fps)
		}
	}
}

func TestChooseSaysWhy(t *testing.T) {
	cases := []struct {
		r    Request
		want string
	}{
		{Request{}, "YUYV 640x480 at 30/s: uncompressed, 18.4 MB/s"},
		{Request{Width: 1280, Height: 720}, "MJPG 1280x720 at 30/s: compressed, light on the bus"},
		{Request{Width: 1280, Height: 720, Format: pixfmt.YUYV},
			"YUYV 1280x720 at 10/s: uncompressed, 18.4 MB/s; slower than the 30/s asked for"},
		{Request{Width: 700, Height: 500}, "YUYV 640x480 at 30/s: uncompressed, 18.4 MB/s; nearest to 700x500"},
	}
	for _, c := range cases {
		if got := Choose(c.r, commonCamera)[0].Why; got != c.want {
			t.Errorf("Choose(%+v): %q, want %q", c.r, got, c.want)
		}
	}
	if got := Choose(Request{Format: pixfmt.NV12}, commonCamera); len(got) != 0 {
		t.Errorf("Choose of a format that is not offered = %v, want nothing", got)
	}
}

func TestChooseStepsDownInFormatThenRateThenSize(t *testing.T) {
	offers := []Offer{
		{pixfmt.YUYV, []Size{at(640, 480, 10, 30, 15), at(320, 240, 30)}},
		{pixfmt.MJPG, []Size{at(640, 480, 30)}},
	}
	want := []string{"YUYV 640x480 at 30/s", "MJPG 640x480 at 30/s", "YUYV 640x480 at 15/s", "YUYV 640x480 at 10/s",
		"YUYV 320x240 at 30/s"}
	var got []string
	for _, c := range Choose(Request{}, offers) {
		words, _, _ := strings.Cut(c.Why, ":")
		got = append(got, words)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Choose = %q, want %q", got, want)
	}
}

func TestRankPutsOtherFormatsBehindTheOneThatTheOwnerWants(t *testing.T) {
	r := Request{Width: 320, Height: 240, FPS: 30, Format: pixfmt.YUYV}
	offers := []Offer{
		{pixfmt.YUYV, []Size{at(640, 480, 30), at(320, 240, 30, 15)}},
		{pixfmt.MJPG, []Size{at(640, 480, 30), at(320, 240, 30)}},
	}
	want := []string{"YUYV 320x240 at 30/s", "YUYV 320x240 at 15/s", "MJPG 320x240 at 30/s", "YUYV 640x480 at 30/s",
		"MJPG 640x480 at 30/s"}
	var got []string
	for _, c := range Rank(r, offers) {
		got = append(got, c.mode().String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("Rank = %q, want %q", got, want)
	}
}
