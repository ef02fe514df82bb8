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
	y, err := OpenY4M(writeClip(t, clip(5)), false)
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
	y, err := OpenY4M(writeClip(t, clip(10)), true)
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
	y, err := OpenY4M(writeClip(t, clip(2)), true)
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
	y, err := OpenY4M(writeClip(t, strings.Replace(clip(2), "F30:1", "F1:3600", 1)), true)
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
		{"odd size", "YUV4MPEG2 W5 H2 F30:1\n", "want even sides"},
		{"size too large", "YUV4MPEG2 W99999999 H2 F30:1\n", "want sides of 2 to 16384"},
		{"size that is no number", "YUV4MPEG2 Wx H2 F30:1\n", `field "Wx"`},
		{"no rate", "YUV4MPEG2 W4 H2\n", "no frame rate"},
		{"rate unknown", "YUV4MPEG2 W4 H2 F0:0\n", "rate unknown"},
		{"rate beyond reason", "YUV4MPEG2 W4 H2 F1000000:1\n", "between pictures"},
		{"no pictures", header4, "no pictures"},
		{"a picture cut short", clip(3)[:len(clip(3))-1], "picture 2 at byte"},
		{"bytes that are no picture", clip(1) + "FRAMES\n", "want FRAME"},
	}
	for _, c := range cases {
		y, err := OpenY4M(writeClip(t, c.content), false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: OpenY4M = %v, %v, want an error with %q", c.name, y, err, c.want)
		}
	}
	for _, path := range []string{t.TempDir(), writeClip(t, ""), filepath.Join(t.TempDir(), "none.y4m")} {
		if y, err := OpenY4M(path, false); err == nil {
			t.Errorf("OpenY4M(%s) = %v, want an error", path, y)
		}
	}
}

func TestSourcesAllocateNothingForAPicture(t *testing.T) {
	y, err := OpenY4M(writeClip(t, strings.Replace(clip(20_000), "F30:1", "F1000:1", 1)), true)
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
	f.Add([]byte("YUV4MPEG2 W16384 H16384 F1:1 C420\nFRAME\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, starts, err := indexY4M(file)
		if err != nil {
			return
		}
		if err := h.layout.Check(); err != nil || h.interval < shortestInterval || len(starts) == 0 {
			t.Errorf("accepted %v, interval %v, %d pictures: %v", h.layout, h.interval, len(starts), err)
		}
		for _, start := range starts {
			if start < 0 || start+h.layout.Size > len(file) {
				t.Errorf("picture at %d of %d bytes in a file of %d", start, h.layout.Size, len(file))
			}
		}
	})
}
