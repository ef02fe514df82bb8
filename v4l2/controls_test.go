package v4l2_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

func TestControlNameIsWrittenAsPersonsWriteIt(t *testing.T) {
	for words, want := range map[string]string{
		"White Balance, Automatic": "white_balance_automatic", "Brightness": "brightness", " Gain (dB) ": "gain_db",
		"": "",
	} {
		if got := v4l2.ControlName(words); got != want {
			t.Errorf("ControlName(%q) = %q, want %q", words, got, want)
		}
	}
}

func TestControlsAreSetAtEachOpening(t *testing.T) {
	knobs := []v4l2.Control{
		{ID: 0x00980900, Name: "brightness", Least: 0, Most: 255},
		{ID: 0x009a0902, Name: "exposure_time_absolute", Least: 1, Most: 5000},
		{ID: 0x009a0903, Name: "exposure_dynamic_framerate", Least: 0, Most: 1},
		{ID: 0x009a0904, Name: "auto_exposure", Least: 0, Most: 3},
	}
	cases := []struct {
		name       string
		knobs      []v4l2.Control
		wanted     map[string]int64
		errs       []error
		set        []string
		complaints []string // the beginning of each
	}{
		{"low light does not cost pictures, unasked", knobs, nil, nil, []string{"exposure_dynamic_framerate=0"}, nil},
		{"unless the owner wants that", knobs, map[string]int64{"exposure_dynamic_framerate": 1}, nil,
			[]string{"exposure_dynamic_framerate=1"}, nil},
		{"a camera without controls", nil, nil, nil, nil, nil},
		{"one that is not there is told, the others are set", knobs[:1],
			map[string]int64{"brightness": 7, "zoom": 1}, nil,
			[]string{"brightness=7"}, []string{"control zoom: this camera has none of that name"}},
		{"a value outside the range is told", knobs[:1], map[string]int64{"brightness": 256}, nil, nil,
			[]string{"control brightness: 256 is not within 0 to 255"}},
		{"a manual value comes after its automatic was switched off", knobs,
			map[string]int64{"exposure_time_absolute": 100, "auto_exposure": 1}, []error{unix.EACCES},
			[]string{"exposure_dynamic_framerate=0", "auto_exposure=1", "exposure_time_absolute=100"}, nil},
		{"a camera that refuses is told", knobs[:1], map[string]int64{"brightness": 7},
			[]error{unix.EPIPE, unix.EPIPE}, nil,
			[]string{"control brightness: broken pipe"}},
	}
	for _, c := range cases {
		d := v4l2test.New(t)
		d.ControlList, d.SetControlErr = c.knobs, c.errs
		r := small
		r.Controls = c.wanted
		cam := open(t, d, r)
		if diff := cmp.Diff(c.set, d.SetLog); diff != "" {
			t.Errorf("%s: set (-want +got):\n%s", c.name, diff)
		}
		got := cam.Complaints()
		if len(got) != len(c.complaints) {
			t.Errorf("%s: complaints = %q, want %q", c.name, got, c.complaints)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.complaints[i]) {
				t.Errorf("%s: complaint = %q, want %q …", c.name, got[i], c.complaints[i])
			}
		}
	}
}
