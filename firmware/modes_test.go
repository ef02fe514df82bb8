package firmware

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

// behaviour is what a scripted camera does in one mode, once it is opened in it.
type behaviour int

const (
	works    behaviour = iota // gives pictures for a second, then is silent
	silent                    // gives no buffer
	damaging                  // gives damaged buffers
	shortens                  // gives a buffer that is cut
	garbled                   // gives JPEGs that v4l2 takes for whole and that cannot be decoded
	breaks                    // its stream fails with EIO
)

// A scriptedCamera moves the test's clock with its own.
type scriptedCamera struct {
	*v4l2.Camera
	device *v4l2test.Device
	bench  *modeBench
}

func (c *scriptedCamera) Next(timeout time.Duration, use func(v4l2.Buffer) error) error {
	before := c.device.Now()
	err := c.Camera.Next(timeout, use)
	took := c.device.Now() - before
	c.bench.passed += took
	c.bench.silent += took
	if err == nil {
		c.bench.silent = 0
	}
	return err
}

// A modeBench opens one camera again and again, and notes the mode of each time.
type modeBench struct {
	t         *testing.T
	s         *Source
	log       bytes.Buffer
	passed    time.Duration
	silent    time.Duration // since the last picture, which the pipeline stamps with the real time
	opened    []string      // format and size, and what the camera does in it
	at        []time.Duration
	steps     []string // of the rescue, and how many opens came before
	limit     int      // opens
	cancel    context.CancelFunc
	behaviour func(mode string, open int) behaviour
}

func newModeBench(t *testing.T, limit int, what func(mode string, open int) behaviour) *modeBench {
	b := &modeBench{t: t, limit: limit, behaviour: what}
	b.s = &Source{Patient: true, Log: slog.New(slog.NewTextHandler(&b.log, nil))}
	b.s.clock = func() time.Duration { return v4l2.Now() + b.silent }
	step := func(name string, after time.Duration) rescueStep {
		return rescueStep{name, after, func(context.Context, string) error {
			b.steps = append(b.steps, fmt.Sprintf("%s before open %d", name, len(b.opened)))
			return nil
		}}
	}
	b.s.rescue.steps = []rescueStep{step("reset", 4*time.Second), step("power", 12*time.Second)}
	b.s.openCamera = b.open
	return b
}

// open negotiates with a device that does in its mode what the test says.
func (b *modeBench) open() (pipeline.Camera, error) {
	if len(b.opened) == b.limit {
		b.cancel()
		return nil, context.Canceled
	}
	probe, err := v4l2.OpenDriver(b.device(), v4l2.Request{Modes: &b.s.modes})
	if err != nil {
		return nil, err
	}
	layout := probe.Layout()
	mode, picture := layout.String(), make([]byte, layout.Size)
	if err := probe.Close(); err != nil {
		b.t.Fatal(err)
	}
	what := b.behaviour(mode, len(b.opened))
	b.opened, b.at = append(b.opened, mode), append(b.at, b.passed)
	if layout.Format == pixfmt.MJPG {
		picture = blackJPEG(b.t, layout.Width, layout.Height)
	}
	steps := map[behaviour][]v4l2test.Step{
		works:    {{Buf: picture, Repeat: 30}},
		damaging: {{Buf: picture, Damaged: true, Repeat: 40}},
		shortens: {{Buf: picture[:4], Repeat: 40}},
		garbled:  {{Buf: []byte{0xff, 0xd8, 1, 2, 3, 0xff, 0xd9}, Repeat: 40}},
		breaks:   {{Err: unix.EIO}},
	}[what]
	d := b.device(steps...)
	c, err := v4l2.OpenDriver(d, v4l2.Request{Modes: &b.s.modes})
	if err != nil {
		return nil, err
	}
	return &scriptedCamera{c, d, b}, nil
}

func blackJPEG(t *testing.T, width, height int) []byte {
	var b bytes.Buffer
	black := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	if err := jpeg.Encode(&b, black, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (b *modeBench) device(steps ...v4l2test.Step) *v4l2test.Device {
	d := v4l2test.New(b.t, steps...)
	d.ID.Port, d.ID.Serial = "1-1", "A1"
	return d
}

// run captures until the camera was opened limit times.
func (b *modeBench) run() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	b.cancel = cancel
	for ctx.Err() == nil {
		camera, err := b.s.awaitCamera(ctx, 0, slog.LevelInfo)
		if err != nil {
			break
		}
		p, _ := newTestPipeline(b.t, camera.Layout(), &pipeline.Stages{})
		err = b.s.captureThroughOutages(ctx, p, camera)
		if err != nil && !cameraMayReturn(err) {
			b.t.Fatalf("captureThroughOutages = %v", err)
		}
	}
	if len(b.opened) < b.limit {
		b.t.Fatalf("opened %q only; log:\n%s", b.opened, &b.log)
	}
}

const (
	firstMode, secondMode, thirdMode, fourthMode = "YUYV 640x480", "MJPG 640x480", "YUYV 320x240", "MJPG 320x240"
)

func TestModeThatGivesNothingUsableGivesWayToTheNext(t *testing.T) {
	for name, bad := range map[string]behaviour{
		"no buffer": silent, "damaged buffers": damaging, "short buffers": shortens, "a broken stream": breaks,
	} {
		b := newModeBench(t, 3, func(mode string, _ int) behaviour {
			if mode == firstMode {
				return bad
			}
			return works
		})
		b.run()
		want := []string{firstMode, secondMode, secondMode}
		if !slices.Equal(b.opened, want) || b.at[1] > 3*time.Second {
			t.Errorf("%s: opened %q at %v, want %q within 3 s: the choice is remembered", name, b.opened, b.at, want)
		}
		for _, words := range []string{"camera mode does not work", `mode="YUYV 640x480 at 30/s"`,
			"camera runs in another mode", "instead of YUYV 640x480, which "} {
			if got := strings.Count(b.log.String(), words); got == 0 {
				t.Errorf("%s: %q is not in the log:\n%s", name, words, &b.log)
			}
		}
		if len(b.steps) > 0 {
			t.Errorf("%s: %q, want no remedy for a mode's fault", name, b.steps)
		}
	}
}

func TestModeWhoseJPEGsCannotBeDecodedIsNotNotedAsWorking(t *testing.T) {
	b := newModeBench(t, 4, func(mode string, open int) behaviour {
		switch {
		case mode == secondMode:
			return garbled
		case open == 3:
			return works
		}
		return silent // open 2 has another size, and is closed for another stream
	})
	b.s.ModesFile = filepath.Join(t.TempDir(), "modes.json")
	b.run() // nobody wants pictures
	if want := []string{firstMode, secondMode, thirdMode, thirdMode}; !slices.Equal(b.opened, want) {
		t.Errorf("opened %q, want %q", b.opened, want)
	}
	kept, err := os.ReadFile(b.s.ModesFile)
	if err != nil || !bytes.Contains(kept, []byte(`"works":{"format":"YUYV","width":320,`)) {
		t.Errorf("kept %s, %v, want the third mode as the one that works", kept, err)
	}
}

func TestSourceThatIsNotPatientTriesAllModesOfASlowCamera(t *testing.T) {
	s := &Source{Log: slog.New(slog.DiscardHandler)}
	opens := 0
	s.openCamera = func() (pipeline.Camera, error) {
		d := v4l2test.New(t)
		if opens++; opens == 1 {
			d.SetFormatErr, d.CallTime = []error{unix.ETIMEDOUT, unix.ETIMEDOUT, unix.ETIMEDOUT}, 5*time.Second
		}
		return v4l2.OpenDriver(d, v4l2.Request{Modes: &s.modes})
	}
	camera, err := s.awaitCamera(t.Context(), 0, slog.LevelInfo)
	if err != nil {
		t.Fatalf("awaitCamera = %v, want the mode that was left to try", err)
	}
	if got := camera.Layout().String(); got != fourthMode {
		t.Errorf("%s, want %s: three modes failed", got, fourthMode)
	}
	if err := camera.Close(); err != nil {
		t.Error(err)
	}
}

func TestHangingCameraIsResetInTheModeThatWorked(t *testing.T) {
	b := newModeBench(t, 6, func(_ string, open int) behaviour {
		if open == 0 || open == 4 {
			return works
		}
		return silent
	})
	b.run()
	for i, mode := range b.opened {
		if mode != firstMode {
			t.Errorf("open %d in %s, want %s: it gave pictures before; all: %q", i, mode, firstMode, b.opened)
		}
	}
	if len(b.steps) < 2 || b.steps[0] != "reset before open 2" {
		t.Errorf("steps %q, want the reset after 4 s of silence", b.steps)
	}
}

func TestCameraThatStaysSilentAfterTheLadderGetsAnotherModeAndReturnsToItsBest(t *testing.T) {
	b := newModeBench(t, 14, func(mode string, open int) behaviour {
		if open == 0 || mode == secondMode || open > 10 {
			return works
		}
		return silent
	})
	b.run()
	at := slices.Index(b.opened, secondMode)
	if at < 0 || b.at[at]-b.at[0] < hangLimit || len(b.steps) < 2 {
		t.Errorf("opened %q at %v after %q, want the second mode once the ladder is through", b.opened, b.at, b.steps)
	}
	if rest := b.opened[at+1:]; !slices.Contains(rest, firstMode) {
		t.Errorf("then %q, want the first mode again: it worked once, the camera hung", rest)
	}
}

func TestCameraOfWhichNoModeWorksSaysSoOnceAndIsReset(t *testing.T) {
	b := newModeBench(t, 16, func(string, int) behaviour { return silent })
	b.run()
	want := []string{firstMode, secondMode, thirdMode, fourthMode, firstMode}
	// Another size ends the stream, and the next one opens the camera once more.
	if got := slices.Compact(b.opened); !slices.Equal(got[:5], want) {
		t.Errorf("opened %q, want %q at first", got, want)
	}
	if got := strings.Count(b.log.String(), "no mode of this camera works"); got != 1 {
		t.Errorf("%d lines that no mode works, want 1:\n%s", got, &b.log)
	}
	if len(b.steps) == 0 || b.at[6] > modeTrials || strings.HasSuffix(b.steps[0], "open 6") {
		t.Errorf("steps %q, want a reset once the modes had had %v", b.steps, modeTrials)
	}
}

func TestDamageInAModeThatWorkedGetsASecondChance(t *testing.T) {
	b := newModeBench(t, 4, func(mode string, open int) behaviour {
		if mode == firstMode && open > 0 {
			return damaging
		}
		return works
	})
	b.run()
	if want := []string{firstMode, firstMode, secondMode, secondMode}; !slices.Equal(b.opened, want) {
		t.Errorf("opened %q, want %q", b.opened, want)
	}
}

func TestModesOutliveTheProcessAndTheirFileIsNotTrusted(t *testing.T) {
	b := newModeBench(t, 2, func(mode string, _ int) behaviour {
		if mode == firstMode {
			return silent
		}
		return works
	})
	b.s.ModesFile = filepath.Join(t.TempDir(), "modes.json")
	b.run()
	again := newModeBench(t, 1, func(string, int) behaviour { return works })
	again.s.ModesFile = b.s.ModesFile
	again.s.loadModes()
	again.run()
	if again.opened[0] != secondMode {
		t.Errorf("the next process opens %s, want %s", again.opened[0], secondMode)
	}
	kept, err := json.Marshal(&again.s.modes)
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, maxModesFile+1)); err != nil {
		t.Fatal(err)
	}
	garbled := filepath.Join(t.TempDir(), "garbled")
	if err := os.WriteFile(garbled, []byte(`[{"camera":1}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, large, garbled, t.TempDir(), "/dev/zero"} {
		again.s.ModesFile = path
		again.s.loadModes()
		if now, err := json.Marshal(&again.s.modes); err != nil || !bytes.Equal(now, kept) {
			t.Errorf("%s: modes = %s, %v, want them as they were: %s", path, now, err, kept)
		}
	}
}
