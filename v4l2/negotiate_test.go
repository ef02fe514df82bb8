package v4l2_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

// calls are the steps of a negotiation that can fail, Start for each of its own calls.
var calls = map[string]func(d *v4l2test.Device, all []error){
	"S_FMT":  func(d *v4l2test.Device, all []error) { d.SetFormatErr = all },
	"S_PARM": func(d *v4l2test.Device, all []error) { d.SetIntervalErr = all },
	"start":  func(d *v4l2test.Device, all []error) { d.StartErr = all },
}

// modeErrnos are what cameras and drivers answer to a mode that does not work.
var modeErrnos = []unix.Errno{
	unix.EIO, unix.EPIPE, unix.EPROTO, unix.EINVAL, unix.ENOMEM, unix.ETIMEDOUT, unix.ENOSPC, unix.EILSEQ,
	unix.EOVERFLOW, unix.ENODATA, unix.ECONNRESET, unix.ENOLINK, unix.EREMOTEIO, unix.E2BIG, unix.ERANGE,
}

func repeat(err error, n int) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}

func TestOpenTakesTheNextModeWhateverCallFailsHowever(t *testing.T) {
	for call, set := range calls {
		for _, errno := range modeErrnos {
			for failing, want := range map[int]string{1: "MJPG 640x480", 2: "YUYV 320x240", 3: "MJPG 320x240"} {
				d := v4l2test.New(t)
				set(d, repeat(fmt.Errorf("%s: %w", call, errno), failing))
				c, err := v4l2.OpenDriver(d, v4l2.Request{})
				if err != nil {
					t.Errorf("%d times %s = %v: OpenDriver = %v", failing, call, errno, err)
					continue
				}
				if got := c.Layout().String(); got != want {
					t.Errorf("%d times %s = %v: %s, want %s", failing, call, errno, got, want)
				}
				why := c.ExplainChoice()
				if !strings.Contains(why, "; instead of YUYV 640x480, ") ||
					errno != unix.ENOSPC && !strings.Contains(why, errno.Error()) {
					t.Errorf("%d times %s = %v: %q does not say instead of which and why", failing, call, errno, why)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestOpenEndsWhereAnotherModeWouldNotHelp(t *testing.T) {
	for call, set := range calls {
		for errno, want := range map[unix.Errno]error{
			unix.EBUSY: v4l2.ErrBusy, unix.ENODEV: v4l2.ErrGone, unix.ENXIO: v4l2.ErrNoCamera,
			unix.EACCES: fs.ErrPermission, unix.EPERM: fs.ErrPermission, unix.ENOTTY: v4l2.ErrNotCapture,
		} {
			d := v4l2test.New(t)
			set(d, []error{errno})
			c, err := v4l2.OpenDriver(d, v4l2.Request{})
			if !errors.Is(err, want) || c != nil {
				t.Errorf("%s = %v: OpenDriver = %v, %v, want %v", call, errno, c, err, want)
			}
		}
	}
}

func TestOpenSaysThatNoModeWorksAndBeginsAnew(t *testing.T) {
	modes := new(v4l2.Modes)
	d := v4l2test.New(t)
	d.StartErr = []error{unix.EIO, unix.EPROTO, unix.ENOMEM, unix.EINVAL}
	_, err := v4l2.OpenDriver(d, v4l2.Request{Modes: modes})
	var none *v4l2.NoModeError
	if !errors.As(err, &none) || len(none.Failed) != 4 || none.Identity() != d.ID {
		t.Fatalf("OpenDriver = %v, want a NoModeError of 4 modes", err)
	}
	for _, want := range []string{"none of its 4 modes works", "YUYV 640x480 at 30/s", "protocol error", "and 1 more"} {
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "unplugged") {
			t.Errorf("error = %q, want %q in it and nothing of a plug", err, want)
		}
	}
	c := open(t, v4l2test.New(t), v4l2.Request{Modes: modes})
	if got := c.Layout().String(); got != "YUYV 640x480" || c.Fallback() != "" {
		t.Errorf("then %s%s, want the first mode again", got, c.Fallback())
	}
}

func TestCameraThatCannotSetARateStreamsAllTheSame(t *testing.T) {
	d := v4l2test.New(t)
	d.SetIntervalErr = repeat(unix.EPIPE, 4)
	if got := open(t, d, v4l2.Request{}).Layout().String(); got != "YUYV 640x480" {
		t.Errorf("Layout = %s, want the best one", got)
	}
}

func TestSlowFailuresAreTriedOverSeveralOpens(t *testing.T) {
	modes := new(v4l2.Modes)
	d := v4l2test.New(t)
	d.SetFormatErr, d.CallTime = repeat(unix.ETIMEDOUT, 4), 5*time.Second
	_, err := v4l2.OpenDriver(d, v4l2.Request{Modes: modes})
	if !errors.Is(err, v4l2.ErrModesLeft) || !strings.Contains(err.Error(), "1 more modes are left to try") {
		t.Errorf("OpenDriver = %v, want an error after 12 s with one mode left", err)
	}
	if got := open(t, v4l2test.New(t), v4l2.Request{Modes: modes}).Layout().String(); got != "MJPG 320x240" {
		t.Errorf("the next Open takes %s, want the one that was left", got)
	}
}

func TestShakyPlugCondemnsNoMode(t *testing.T) {
	modes := new(v4l2.Modes)
	d := v4l2test.New(t)
	d.StartErr = []error{unix.EPROTO, unix.EIO, unix.ENODEV}
	if _, err := v4l2.OpenDriver(d, v4l2.Request{Modes: modes}); !errors.Is(err, v4l2.ErrGone) {
		t.Errorf("OpenDriver = %v, want ErrGone", err)
	}
	if got := open(t, v4l2test.New(t), v4l2.Request{Modes: modes}).Layout().String(); got != "YUYV 640x480" {
		t.Errorf("plugged in again: %s, want the first mode", got)
	}
}

func TestFailuresBeforeTheFirstPictureMayBeThePlugsButNotForEver(t *testing.T) {
	modes := new(v4l2.Modes)
	try := func(errs ...error) *v4l2.Camera {
		d := v4l2test.New(t)
		d.StartErr = errs
		return open(t, d, v4l2.Request{Modes: modes})
	}
	for unplugged := range 3 {
		try(unix.EPROTO)
		modes.ForgetUnplugged()
		modes.ForgetUnplugged() // still not there
		if got := try().Layout().String(); got != "YUYV 640x480" {
			t.Errorf("unplugged %d times: %s, want the first mode again", unplugged+1, got)
		}
	}
	c := try(unix.EPROTO) // a camera that leaves the bus in this mode must come to another
	modes.ForgetUnplugged()
	if got := try().Layout().String(); got != "MJPG 640x480" {
		t.Errorf("unplugged four times: %s, want the mode that started", got)
	}
	c.ModeWorks()
	modes.ForgetUnplugged()
	if got := try().Layout().String(); got != "MJPG 640x480" {
		t.Errorf("unplugged once it had given a picture: %s, want the mode that worked", got)
	}
}

func TestModeForWhichTheBusHadNoRoomIsTriedAgainAtTheNextOpen(t *testing.T) {
	modes := new(v4l2.Modes)
	d := identified(t, "A1", "1-1")
	d.StartErr = []error{unix.ENOSPC, unix.EIO}
	c := open(t, d, v4l2.Request{Modes: modes})
	c.ModeWorks()
	if want := "instead of YUYV 640x480, for which the bus has no room"; !strings.Contains(c.Fallback(), want) {
		t.Errorf("Fallback = %q, want %q in it", c.Fallback(), want)
	}
	kept, err := json.Marshal(modes)
	if err != nil || strings.Contains(string(kept), "no room") {
		t.Errorf("kept %s, %v, want nothing of room", kept, err)
	}
	if got := open(t, identified(t, "A1", "1-1"), v4l2.Request{Modes: modes}).Layout().String(); got != "YUYV 640x480" {
		t.Errorf("with room again: %s, want the best mode", got)
	}
}

// identified returns a device that is a camera with this serial number at this port.
func identified(t *testing.T, serial, port string) *v4l2test.Device {
	d := v4l2test.New(t)
	d.ID.Serial, d.ID.Port = serial, port
	return d
}

func TestChoiceIsRememberedForTheCamera(t *testing.T) {
	modes := new(v4l2.Modes)
	d := identified(t, "A1", "1-1")
	d.StartErr = []error{unix.EIO}
	c := open(t, d, v4l2.Request{Modes: modes})
	c.ModeWorks()
	kept, err := json.Marshal(modes)
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []struct {
		name, serial, port string
		r                  v4l2.Request
		want               string
	}{
		{"the same one", "A1", "1-1", v4l2.Request{}, "MJPG 640x480"},
		{"at another port", "A1", "1-2", v4l2.Request{}, "MJPG 640x480"},
		{"another camera", "B2", "1-1", v4l2.Request{}, "YUYV 640x480"},
		{"another wish", "A1", "1-1", v4l2.Request{Width: 320, Height: 240}, "YUYV 320x240"},
	} {
		read := new(v4l2.Modes) // as another process does
		if err := json.Unmarshal(kept, read); err != nil {
			t.Fatal(err)
		}
		again.r.Modes = read
		c := open(t, identified(t, again.serial, again.port), again.r)
		if got := c.Layout().String(); got != again.want {
			t.Errorf("%s: %s, want %s", again.name, got, again.want)
		}
		if remembered := again.want == "MJPG 640x480"; c.EverWorked() != remembered ||
			strings.Contains(c.ExplainChoice(), "instead of YUYV 640x480, which fails: start") != remembered {
			t.Errorf("%s: %q, worked %v, want both to be %v", again.name, c.ExplainChoice(), c.EverWorked(), remembered)
		}
	}
}

func TestFailingFormatOfTheOwnerGivesWayWithWords(t *testing.T) {
	d := v4l2test.New(t)
	d.StartErr = []error{unix.EIO}
	c := open(t, d, v4l2.Request{Format: pixfmt.MJPG})
	if got := c.Layout().String(); got != "YUYV 640x480" ||
		!strings.Contains(c.Fallback(), "instead of MJPG 640x480, which fails") {
		t.Errorf("%s%s, want YUYV and why", got, c.Fallback())
	}
}

func TestSilenceSaysWhetherBuffersCame(t *testing.T) {
	damaged := v4l2test.Step{Buf: whole(1), Damaged: true, Repeat: 40}
	short := v4l2test.Step{Buf: whole(1)[:1000], Repeat: 25}
	for name, c := range map[string]struct {
		steps    []v4l2test.Step
		unusable bool
		words    string
	}{
		"nothing":             {nil, false, "no usable buffer in time"},
		"damaged":             {[]v4l2test.Step{damaged}, true, "40 damaged"},
		"short, then damaged": {[]v4l2test.Step{short, damaged}, true, "25 short"},
	} {
		cam := open(t, v4l2test.New(t, c.steps...), small)
		err := cam.Next(3*second, nil)
		if !errors.Is(err, v4l2.ErrSilent) || errors.Is(err, v4l2.ErrUnusable) != c.unusable ||
			!strings.Contains(err.Error(), c.words) || !v4l2.IsModeError(err) {
			t.Errorf("%s: Next = %v, want ErrSilent, ErrUnusable %v, %q", name, err, c.unusable, c.words)
		}
	}
}

func TestBrokenStreamIsTheModesFaultAndAPulledPlugIsNot(t *testing.T) {
	for errno, want := range map[unix.Errno]bool{
		unix.EIO: true, unix.EPROTO: true, unix.EPIPE: true, unix.ETIMEDOUT: true, unix.ENOMEM: true,
		unix.ENODEV: false, unix.EINVAL: false,
	} {
		cam := open(t, v4l2test.New(t, v4l2test.Step{Err: errno}), small)
		err := cam.Next(second, nil)
		if !errors.Is(err, v4l2.ErrGone) || !errors.Is(err, errno) || v4l2.IsModeError(err) != want {
			t.Errorf("%v: Next = %v, IsModeError = %v, want ErrGone and %v", errno, err, v4l2.IsModeError(err), want)
		}
	}
	cam := open(t, v4l2test.New(t, v4l2test.Step{WaitErr: v4l2.ErrGone}), small)
	if err := cam.Next(second, nil); v4l2.IsModeError(err) {
		t.Errorf("hung up: IsModeError(%v) = true", err)
	}
}

func FuzzModes(f *testing.F) {
	f.Add([]byte(`[{"camera":"a","wish":"b",` +
		`"works":{"format":"MJPG","width":640,"height":480,"interval_ns":33333333},` +
		`"failed":[{"mode":{"format":"YUYV"},"because":"c","silent":true}]}]`))
	f.Add([]byte(`[null]`))
	f.Add([]byte(`[{"works":{"format":""}}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		modes := new(v4l2.Modes)
		if json.Unmarshal(b, modes) != nil {
			return
		}
		modes.ForgetUnplugged()
		modes.ForgetSilent()
		c := open(t, v4l2test.New(t), v4l2.Request{Modes: modes})
		c.ModeWorks()
		if _, err := json.Marshal(modes); err != nil {
			t.Error(err)
		}
	})
}
