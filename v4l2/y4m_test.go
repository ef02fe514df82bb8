package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const header4 = "YUV4MPEG2 W4 H2 F30:1 Ip A1:1 C420jpeg XYSCSS=420JPEG\n"

// clip is a file of n pictures of 4x2, each full of its own number.
func clip(n int) string {
	var b strings.Builder
	b.WriteString(header4)
	for i := range n {
		if i%2 == 1 {
			b.WriteString("FRAME Ip XABC\n")
		} else {
			b.WriteString("FRAME\n")
		}
		b.Write(bytes.Repeat([]byte{byte(i)}, 12))
	}
	return b.String()
}

func writeClip(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.y4m")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeClock makes p run on a clock that only its own sleeps and the test move.
func fakeClock(p *pacer) *time.Duration {
	now := new(time.Duration)
	*now = time.Hour
	p.now = func() time.Duration { return *now }
	p.sleep = func(d time.Duration, _ <-chan struct{}) { *now += d }
	return now
}

func TestY4MPlaysEachPictureOnceAndEnds(t *testing.T) {
	y, err := OpenY4M(writeClip(t, clip(5)), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := y.String(), "file clip.y4m YU12 4x2 30 fps"; got != want || y.Len() != 5 {
		t.Errorf("String, Len = %q, %d, want %q, 5", got, y.Len(), want)
	}
	now := fakeClock(y.pacer)
	for i := range 5 {
		err := y.Next(0, func(b Buffer) error {
			at := time.Hour + time.Duration(i)*y.Interval()
			if b.Bytes[0] != byte(i) || b.Bytes[11] != byte(i) || len(b.Bytes) != 12 || b.Sequence != uint32(i) ||
				b.At != at {
				t.Errorf("picture %d: %v, sequence %d at %v, want at %v", i, b.Bytes, b.Sequence, b.At, at)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if *now != time.Hour {
		t.Errorf("without pace it slept %v", *now-time.Hour)
	}
	if err := y.Next(0, nil); !errors.Is(err, io.EOF) {
		t.Errorf("Next at the end = %v, want io.EOF", err)
	}
	if err := errors.Join(y.Close(), y.Close()); err != nil {
		t.Errorf("Close twice: %v", err)
	}
	if err := y.Next(0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Next after Close = %v, want ErrClosed", err)
	}
}

func TestPacedY4MSkipsWhatALateCallerMissed(t *testing.T) {
	y, err := OpenY4M(writeClip(t, clip(10)), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	now := fakeClock(y.pacer)
	take := func(want uint32, late time.Duration) {
		t.Helper()
		err := y.Next(time.Second, func(b Buffer) error {
			if b.Sequence != want || b.At != time.Hour+time.Duration(want)*y.Interval() || *now-b.At != late {
				t.Errorf("sequence %d at %v, now %v, want %d, %v late", b.Sequence, b.At, *now, want, late)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	take(0, 0)
	take(1, 0)
	*now += 3*y.Interval() + y.Interval()/2
	take(4, y.Interval()/2)
	take(5, 0)
	*now += time.Minute
	take(9, time.Minute-4*y.Interval()) // the last one is shown, however late
	if got, want := y.Counters(), (Counters{Delivered: 5, Older: 5}); got != want {
		t.Errorf("Counters = %+v, want %+v", got, want)
	}
	if err := y.Next(time.Second, nil); !errors.Is(err, io.EOF) {
		t.Errorf("Next at the end = %v, want io.EOF", err)
	}
}

func TestPacedY4MIsSilentUntilAPictureIsDue(t *testing.T) {
	y, err := OpenY4M(writeClip(t, clip(2)), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	fakeClock(y.pacer)
	use := func(Buffer) error { return nil }
	if err := y.Next(0, use); err != nil {
		t.Fatal(err)
	}
	for range 3 { // 30 ms of 33
		if err := y.Next(10*time.Millisecond, use); !errors.Is(err, ErrSilent) {
			t.Errorf("Next = %v, want ErrSilent", err)
		}
	}
	if err := y.Next(10*time.Millisecond, use); err != nil {
		t.Errorf("Next when it is due: %v", err)
	}
}

func TestCloseInterruptsAPacedSource(t *testing.T) {
	y, err := OpenY4M(writeClip(t, strings.Replace(clip(2), "F30:1", "F1:3600", 1)), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	use := func(Buffer) error { return nil }
	if err := y.Next(time.Hour, use); err != nil {
		t.Fatal(err)
	}
	asleep := make(chan struct{})
	sleep := y.sleep
	y.sleep = func(d time.Duration, stop <-chan struct{}) { close(asleep); sleep(d, stop) }
	done := make(chan error)
	go func() { done <- y.Next(time.Hour, use) }()
	<-asleep
	if err := y.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("Next = %v, want ErrClosed", err)
	}
}

func TestY4MSaysWhatIsWrongWithAFile(t *testing.T) {
	cases := []struct{ name, content, want string }{
		{"another format", "RIFF....AVI \n", "not a YUV4MPEG2 file"},
		{"a line without end", "YUV4MPEG2 " + strings.Repeat("X", 5000), "no end of line within 1024 bytes"},
		{"4:2:2", "YUV4MPEG2 W4 H2 F30:1 C422\n", "only 8-bit 4:2:0"},
		{"ten bits", "YUV4MPEG2 W4 H2 F30:1 C420p10\n", "only 8-bit 4:2:0"},
		{"no size", "YUV4MPEG2 F30:1\n", "want sides of 2 to 16384"},
		{"grey", "YUV4MPEG2 W4 H2 F30:1 Cmono\n", `"mono": only 8-bit 4:2:0`},
		{"4:4:4 with alpha", "YUV4MPEG2 W4 H2 F30:1 C444alpha\n", "-pix_fmt yuv420p"},
		{"4:2:2 as older programs say it", "YUV4MPEG2 W4 H2 F30:1 XYSCSS=422\n", "only 8-bit 4:2:0"},
		{"negative size", "YUV4MPEG2 W-4 H2 F30:1\n", "want sides of 2 to 16384"},
		{"another file behind it, of another size",
			clip(2) + strings.Replace(clip(1), "W4 H2", "W2 H4", 1),
			"another file begins behind picture 2, at byte 98: its pictures are 2x4, those before 4x2"},
		{"another file behind it, in other colours", clip(1) + "YUV4MPEG2 W4 H2 C444\n", "only 8-bit 4:2:0"},
		{"line ends of Windows in the pictures, too",
			strings.ReplaceAll(header4+"FRAME\n"+strings.Repeat("\n", 12)+"FRAME\n", "\n", "\r\n"), "want FRAME"},
		{"size too large", "YUV4MPEG2 W99999999 H2 F30:1\n", "want sides of 2 to 16384"},
		{"size that is no number", "YUV4MPEG2 Wx H2 F30:1\n", `field "Wx"`},
		{"rate that is no number", "YUV4MPEG2 W4 H2 Ffast\n", `field "Ffast"`},
		{"rate beyond reason", "YUV4MPEG2 W4 H2 F1000000:1\n", "between pictures"},
		{"no pictures", header4, "no pictures"},
		{"a picture cut short", clip(3)[:len(clip(3))-1], "picture 2 at byte"},
		{"bytes that are no picture", clip(1) + "FRAMES\n", "want FRAME"},
	}
	for _, c := range cases {
		y, err := OpenY4M(writeClip(t, c.content), 0, false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: OpenY4M = %v, %v, want an error with %q", c.name, y, err, c.want)
		}
	}
	for _, path := range []string{t.TempDir(), writeClip(t, ""), filepath.Join(t.TempDir(), "none.y4m")} {
		if y, err := OpenY4M(path, 0, false); err == nil {
			t.Errorf("OpenY4M(%s) = %v, want an error", path, y)
		}
	}
}

func TestY4MHeadersThatToolsWrite(t *testing.T) {
	const half = 500 * time.Millisecond
	cases := []struct {
		header   string
		layout   string
		size     int
		interval time.Duration
		remark   string
	}{
		{"W853 H480 F30:1 Ip A1:1 C420jpeg", "YU12 853x480", 853*480 + 2*427*240, time.Second / 30, ""},
		{"W175 H143 F30:1 Ip A1:1 C420jpeg", "YU12 175x143", 175*143 + 2*88*72, time.Second / 30, ""},
		{"W176 H143 F2:1", "YU12 176x143", 176*143 + 2*88*72, half, ""},
		{"W3 H3 F2:1", "YU12 3x3", 9 + 2*4, half, ""},
		{"W176 H144 C420jpeg", "YU12 176x144", 38016, half, "does not say its frame rate: 2/s"},
		{"W176 H144 F0:0 Ip A0:0 C420jpeg", "YU12 176x144", 38016, half, "does not say its frame rate: 2/s"},
		{"W176 H144 F0:1", "YU12 176x144", 38016, half, "does not say its frame rate"},
		{"W176 H144 F30:0", "YU12 176x144", 38016, half, "does not say its frame rate"},
		{"W176 H144 F", "YU12 176x144", 38016, half, "does not say its frame rate"},
		{"W176 H144 F2 Ip", "YU12 176x144", 38016, half, ""},
		{"W176 H144 F30000:1001", "YU12 176x144", 38016, 1001 * time.Second / 30000, ""},
		{"W176 H144 F30:1 Ip A1:1 C420p8", "YU12 176x144", 38016, time.Second / 30, ""},
		{"W176 H144 F30:1 Ip A1:1 C420JPEG", "YU12 176x144", 38016, time.Second / 30, ""},
		{"W176 H144 F2:1 C420PALDV XYSCSS=422", "YU12 176x144", 38016, half, ""},
		{"W176 H144 F2:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED", "YU12 176x144", 38016, half, ""},
		{"W176 H144 F2:1 XYSCSS=420JPEG", "YU12 176x144", 38016, half, ""},
		{"W176 H144 F2:1 It A1:1", "YU12 176x144", 38016, half, "interlaced"},
		{"W176 H144 F2:1 Im", "YU12 176x144", 38016, half, "interlaced"},
		{"W176 H144 F2:1 I? A0:0 Xother=I Xt", "YU12 176x144", 38016, half, ""},
	}
	for _, c := range cases {
		for _, newline := range []string{"\n", "\r\n"} {
			picture := strings.Repeat("\r\n!", c.size)[:c.size]
			frame := "FRAME" + newline + picture
			y, err := OpenY4M(writeClip(t, "YUV4MPEG2 "+c.header+newline+frame+"FRAME Ixyz"+newline+picture), 2, false)
			if err != nil {
				t.Errorf("%q: %v", c.header, err)
				continue
			}
			remarks := strings.Join(y.Remarks(), "; ")
			if y.Layout().String() != c.layout || y.Interval() != c.interval || y.Len() != 2 ||
				(c.remark == "") != (remarks == "") || !strings.Contains(remarks, c.remark) {
				t.Errorf("%q: %v, %d pictures, remarks %q; want %v, %v, 2, %q",
					c.header, y, y.Len(), remarks, c.layout, c.interval, c.remark)
			}
			if string(y.Picture(1)) != picture {
				t.Errorf("%q: the second picture is another one", c.header)
			}
			if err := y.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestJoinedY4MIsPlayedAsOne(t *testing.T) {
	y, err := OpenY4M(writeClip(t, clip(2)+strings.Replace(clip(3), "F30:1 Ip", "F25:1", 1)+clip(1)), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	remarks := strings.Join(y.Remarks(), "; ")
	if y.Len() != 6 || y.Picture(4)[11] != 2 || y.Interval() != time.Second/30 ||
		!strings.Contains(remarks, "3 files") {
		t.Errorf("%d pictures at %v, remarks %q; want 6 of 3 files at the rate of the first",
			y.Len(), y.Interval(), remarks)
	}
}

func TestCutY4MIsPlayedUpToThereAndNotMeasured(t *testing.T) {
	whole := clip(3)
	for _, n := range []int{1, 11, 12, 13, 17, 18} { // the last picture and its line have 18 bytes
		path := writeClip(t, whole[:len(whole)-n])
		if n < 18 {
			y, err := OpenY4M(path, 0, false)
			if err == nil || !strings.Contains(err.Error(), "the file is cut") {
				t.Errorf("%d bytes less: OpenY4M = %v, %v, want an error for a measurement", n, y, err)
			}
		}
		y, err := OpenY4M(path, 0, true)
		if err != nil {
			t.Errorf("%d bytes less: %v", n, err)
			continue
		}
		cut := strings.Contains(strings.Join(y.Remarks(), ""), "it is cut")
		if y.Len() != 2 || cut != (n < 18) {
			t.Errorf("%d bytes less: %d pictures, remarks %q, want 2 and whether it is cut", n, y.Len(), y.Remarks())
		}
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestY4MWithoutRateTakes30(t *testing.T) {
	y, err := OpenY4M(writeClip(t, strings.Replace(clip(1), " F30:1", "", 1)), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if y.Interval() != time.Second/30 || len(y.Remarks()) != 1 {
		t.Errorf("Interval = %v, remarks %q, want 1/30 s and one", y.Interval(), y.Remarks())
	}
}

func TestSourcesAllocateNothingForAPicture(t *testing.T) {
	y, err := OpenY4M(writeClip(t, strings.Replace(clip(20_000), "F30:1", "F1000:1", 1)), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPattern(64, 48, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []interface {
		fmt.Stringer
		Next(time.Duration, func(Buffer) error) error
		Close() error
	}{y, p} {
		use := func(Buffer) error { return nil }
		if got := testing.AllocsPerRun(50, func() {
			if err := source.Next(time.Second, use); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%v: allocations for a picture = %v, want 0", source, got)
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzY4M(f *testing.F) {
	f.Add([]byte(clip(2)))
	f.Add([]byte("YUV4MPEG2 W2 H2 F30000:1001\nFRAME\n123456"))
	f.Add([]byte(clip(1) + clip(1)))
	f.Add([]byte("YUV4MPEG2 W3 H3\r\nFRAME\r\n12345678901234567"))
	f.Add([]byte("YUV4MPEG2 W16384 H16384 F1:1 C420\nFRAME\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, starts, _, err := indexY4M(file, len(file)%2 == 0)
		if err != nil {
			return
		}
		if err := h.layout.Check(); err != nil || h.interval != 0 && h.interval < shortestInterval || len(starts) == 0 {
			t.Errorf("accepted %v, interval %v, %d pictures: %v", h.layout, h.interval, len(starts), err)
		}
		for _, start := range starts {
			if start < 0 || start+h.layout.Size > len(file) {
				t.Errorf("picture at %d of %d bytes in a file of %d", start, h.layout.Size, len(file))
			}
		}
	})
}
