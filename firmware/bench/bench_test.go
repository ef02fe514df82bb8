package bench

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func small(t *testing.T) Config {
	c := Defaults()
	c.Sizes, c.Speeds, c.Threads, c.Frames = []Size{{160, 120}}, []int{-12}, []int{1}, 20
	c.Progress = func(s string) { t.Log(s) }
	return c
}

// y4m writes n pictures.
func y4m(t *testing.T, size Size, n int) string {
	t.Helper()
	b := []byte("YUV4MPEG2 W" + strings.Replace(size.String(), "x", " H", 1) + " F30:1 C420jpeg\n")
	err := drawPictures(size, n, func(p *image.YCbCr, _ []byte) error {
		b = append(append(append(append(b, "FRAME\n"...), p.Y...), p.Cb...), p.Cr...)
		return nil
	})
	path := filepath.Join(t.TempDir(), "clip.y4m")
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEachFormatAndInputGivesARowThatAddsUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clip.mjpeg")
	var jpegs bytes.Buffer
	write := func(p *image.YCbCr, _ []byte) error { return jpeg.Encode(&jpegs, p, nil) }
	if err := drawPictures(Size{160, 120}, 25, write); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, jpegs.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{"", y4m(t, Size{320, 240}, 25), file} {
		for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.MJPG, pixfmt.YU12} {
			c := small(t)
			c.Input, c.Format = input, format
			saved := 0
			c.Measured = func(Report) error { saved++; return nil }
			r, err := Run(t.Context(), c)
			if err != nil || len(r.Rows) != 1 || saved != 1 {
				t.Fatalf("%s as %v: %d rows, %d saved, %v", input, format, len(r.Rows), saved, err)
			}
			row := r.Rows[0]
			if row.Frames != 20 || row.FPS <= 0 || row.PSNR < 25 || row.PSNR > 60 || row.Kbit <= 0 ||
				row.Format != format.String() {
				t.Errorf("%s as %v: %+v", input, format, row)
			}
			sum := row.CPU.Convert + row.CPU.Encode + row.CPU.Send
			if sum < row.CPU.All*0.999 || sum > row.CPU.All*1.001 || row.CPU.Encode <= 0 {
				t.Errorf("%s as %v: stages %+v do not add up", input, format, row.CPU)
			}
			if row.Latency.P50 <= 0 || row.Latency.P99 < row.Latency.P50 {
				t.Errorf("%s as %v: latency %+v", input, format, row.Latency)
			}
		}
	}
}

func TestInterruptKeepsTheRowsThatAreDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := small(t)
	c.Speeds = []int{-12, -8, -4}
	c.Measured = func(r Report) error {
		if len(r.Rows) == 2 {
			cancel()
		}
		return nil
	}
	r, err := Run(ctx, c)
	if err != nil || len(r.Rows) != 2 || !r.Interrupted {
		t.Errorf("%d rows, interrupted %v, %v; want 2, true", len(r.Rows), r.Interrupted, err)
	}
}

func TestReportAnswersTheSameQuestionOnly(t *testing.T) {
	c := small(t)
	c.Version, c.Speeds = "1", []int{-12, -16}
	whole, err := Run(t.Context(), c)
	if err != nil || len(whole.Rows) != 2 || whole.Interrupted {
		t.Fatalf("%+v, %v", whole, err)
	}
	for _, x := range []struct {
		name   string
		change func(*Config)
		want   bool
	}{
		{"the same", func(*Config) {}, true},
		{"a wish for more", func(c *Config) { c.Speeds = []int{-12, -16, -8} }, false},
		{"a wish for less", func(c *Config) { c.Speeds = []int{-12} }, false},
		{"another order", func(c *Config) { c.Speeds = []int{-16, -12} }, false},
		{"another size", func(c *Config) { c.Sizes = []Size{{64, 48}} }, false},
		{"other threads", func(c *Config) { c.Threads = []int{2} }, false},
		{"more pictures", func(c *Config) { c.Frames = 21 }, false},
		{"another format", func(c *Config) { c.Format = pixfmt.MJPG }, false},
		{"another rate", func(c *Config) { c.Bitrate *= 2 }, false},
		{"another version", func(c *Config) { c.Version = "2" }, false},
		{"another goal", func(c *Config) { c.FPS = 15 }, false},
	} {
		c := c
		x.change(&c)
		begun := c.Begun()
		if !begun.Interrupted || !begun.Answers(begun) || len(begun.Rows) == 0 {
			t.Errorf("%s: a bench that has begun left %+v", x.name, begun)
		}
		if got := whole.Answers(begun); got != x.want {
			t.Errorf("%s: Answers = %v, want %v", x.name, got, x.want)
		}
	}
	if (Report{}).Answers(c.Begun()) {
		t.Error("no report answers")
	}
}

func TestConfigurationTakesWhatTheEncoderTakes(t *testing.T) {
	for speed := -18; speed <= 1; speed++ {
		for threads := 1; threads <= 6; threads++ {
			asked, wrong := config.Parse("f",
				fmt.Appendf(nil, `{"bench": {"sizes": ["64x48"], "speeds": [%d], "threads": [%d]}}`, speed, threads))
			e, err := encoder.New(encoder.Config{
				Width: 64, Height: 48, FPS: 30, Bitrate: 100_000, Speed: speed, Threads: threads,
			})
			if err == nil {
				e.Close()
			}
			if (wrong == nil) != (err == nil) {
				t.Errorf("speed %d, threads %d: the configuration says %v, the encoder %v", speed, threads, wrong, err)
			}
			var c Config
			c.Override(asked.Bench)
			rows := c.wantedRows()
			if wrong == nil && (len(rows) != 1 || rows[0].Speed != speed || rows[0].Threads != threads) {
				t.Errorf("speed %d, threads %d: rows %+v", speed, threads, rows)
			}
		}
	}
}

func TestWrongInputsAreErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a file that is not there": func(c *Config) { c.Input = "/nowhere.y4m" },
		"a file of another kind":   func(c *Config) { c.Input = "clip.avi" },
		"no JPEG": func(c *Config) {
			c.Input = y4m(t, Size{32, 32}, 1) + ".mjpeg"
			os.WriteFile(c.Input, []byte("x"), 0o600)
		},
		"a format nobody packs": func(c *Config) { c.Format = pixfmt.NV12 },
		"an odd size":           func(c *Config) { c.Sizes = []Size{{161, 120}} },
		"a positive speed":      func(c *Config) { c.Speeds = []int{4} },
	} {
		c := small(t)
		change(&c)
		if r, err := Run(t.Context(), c); err == nil {
			t.Errorf("%s: %d rows and no error", name, len(r.Rows))
		}
	}
}

func TestPackedPicturesConvertBack(t *testing.T) {
	for _, format := range []pixfmt.FourCC{pixfmt.YUYV, pixfmt.YU12} {
		c, err := loadClip("", format, Size{64, 48}, 3)
		if err != nil {
			t.Fatal(err)
		}
		conv, err := convert.New(c.layout)
		if err != nil {
			t.Fatal(err)
		}
		defer conv.Close()
		n := 0
		err = drawPictures(Size{64, 48}, 3, func(want *image.YCbCr, _ []byte) error {
			got := image.NewYCbCr(want.Rect, want.SubsampleRatio)
			if err := conv.Convert(got, c.buffers[n]); err != nil {
				return err
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v, picture %d (-want +got):\n%s", format, n, diff)
			}
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestClipIsPlayedToAndFro(t *testing.T) {
	c := &clip{buffers: [][]byte{{0}, {1}, {2}}}
	var got []byte
	for n := range 9 {
		got = append(got, c.bufferAt(n)...)
	}
	if diff := cmp.Diff([]byte{0, 1, 2, 1, 0, 1, 2, 1, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if one := (&clip{buffers: [][]byte{{7}}}).bufferAt(5); one[0] != 7 {
		t.Errorf("a clip of one: %v", one)
	}
}

func TestMachineIsReadFromSysfs(t *testing.T) {
	pi := fstest.MapFS{
		"sys/class/thermal/thermal_zone0/temp":                 {Data: []byte("52100\n")},
		"sys/class/thermal/thermal_zone1/temp":                 {Data: []byte("48000\n")},
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": {Data: []byte("1200000\n")},
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": {Data: []byte("600000\n")},
		"sys/devices/platform/soc/soc:firmware/get_throttled":  {Data: []byte("50005\n")},
		"proc/device-tree/model":                               {Data: []byte("Raspberry Pi 3 Model B Rev 1.2\x00")},
	}
	if got, want := machineState(pi).String(), "52 °C, 600 MHz, throttled: 50005"; got != want {
		t.Errorf("machine = %q, want %q", got, want)
	}
	if got := modelName(pi); got != "Raspberry Pi 3 Model B Rev 1.2" {
		t.Errorf("model = %q", got)
	}
	const cpuinfo = "model name\t: A CPU\ncpu MHz\t\t: 2400.5\n\nmodel name\t: A CPU\ncpu MHz\t\t: 1800.0\n"
	pc := fstest.MapFS{"proc/cpuinfo": {Data: []byte(cpuinfo)}}
	if got, want := machineState(pc), (Machine{MHz: 1800}); got != want {
		t.Errorf("machine = %+v, want %+v", got, want)
	}
	const want = "temperature unknown, clock unknown, unknown"
	if got := machineState(fstest.MapFS{}).String() + ", " + modelName(fstest.MapFS{}); got != want {
		t.Errorf("a machine that tells nothing: %q, want %q", got, want)
	}
}
