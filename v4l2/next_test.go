package v4l2_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

const second = time.Second

// small is a request whose pictures are 153600 bytes of YUYV.
var small = v4l2.Request{Width: 320, Height: 240, FPS: 30, Format: pixfmt.YUYV}

// whole is a YUYV picture of small full of n.
func whole(n byte) []byte { return bytes.Repeat([]byte{n}, 320*240*2) }

// jpeg is what passes for a JPEG without decoding.
func jpeg(tail ...byte) []byte {
	return append([]byte{0xff, 0xd8, 1, 2, 3, 0xff, 0xd9}, tail...)
}

func open(t *testing.T, d *v4l2test.Device, r v4l2.Request) *v4l2.Camera {
	t.Helper()
	c, err := v4l2.OpenDriver(d, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// next takes one picture and returns its first byte and sequence.
func next(t *testing.T, c *v4l2.Camera) (first byte, b v4l2.Buffer) {
	t.Helper()
	err := c.Next(second, func(got v4l2.Buffer) error {
		first, b = got.Bytes[0], got
		return nil
	})
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return first, b
}

func TestNextHandsOutPicturesInOrder(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1)}, v4l2test.Step{Buf: whole(2)})
	c := open(t, d, small)
	for want := byte(1); want <= 2; want++ {
		got, b := next(t, c)
		if got != want || b.Sequence != uint32(want-1) || len(b.Bytes) != 153600 || b.Layout != c.Layout() {
			t.Errorf("picture %d: first byte %d, sequence %d, %d bytes of %v", want, got, b.Sequence, len(b.Bytes),
				b.Layout)
		}
		if b.At != d.Now() {
			t.Errorf("picture %d: At = %v, want %v", want, b.At, d.Now())
		}
	}
	if diff := cmp.Diff(v4l2.Counters{Delivered: 2}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
}

func TestNextDrainsToTheNewest(t *testing.T) {
	d := v4l2test.New(t,
		v4l2test.Step{Buf: whole(1)}, v4l2test.Step{Buf: whole(2), After: second / 100},
		v4l2test.Step{Buf: whole(3), After: second / 100})
	c := open(t, d, small)
	d.Advance(second / 15)
	if got, _ := next(t, c); got != 3 {
		t.Errorf("picture = %d, want the newest, 3", got)
	}
	if diff := cmp.Diff(v4l2.Counters{Delivered: 1, Older: 2}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
}

func TestNextKeepsTheNewestValidBufferWhenANewerIsBad(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1)},
		v4l2test.Step{Buf: whole(2), Damaged: true, After: second / 100})
	c := open(t, d, small)
	d.Advance(second / 20)
	if got, _ := next(t, c); got != 1 {
		t.Errorf("picture = %d, want 1", got)
	}
}

func TestNextNeverDeliversAnOldPictureAfterAStall(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(7), Repeat: 60})
	c := open(t, d, small)
	next(t, c)
	d.Advance(1500 * time.Millisecond) // all four buffers fill at the start of it
	_, b := next(t, c)
	if age := d.Now() - b.At; age > 2*c.Interval() {
		t.Errorf("age after a stall of 1.5 s = %v, want at most %v", age, 2*c.Interval())
	}
	// 1.5 s at 30/s: 4 in buffers (3 older, 1 stale), 41 with nowhere to go.
	if diff := cmp.Diff(v4l2.Counters{Delivered: 2, Older: 3, Stale: 1, Missing: 41}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
	for range 60 - 1 - 45 - 1 { // the rest comes as usual
		next(t, c)
	}
}

func TestNextNeverDeliversAnOldPictureAfterAStallWithinItsWait(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(7), Repeat: 60})
	d.WaitDelays = []time.Duration{0, 1500 * time.Millisecond} // the process was stopped while it waited
	c := open(t, d, small)
	next(t, c)
	for range 60 - 1 - 46 { // the others fell into the stall
		if _, b := next(t, c); d.Now()-b.At > 2*c.Interval() {
			t.Fatalf("age = %v, want at most %v", d.Now()-b.At, 2*c.Interval())
		}
	}
	if diff := cmp.Diff(v4l2.Counters{Delivered: 14, Older: 3, Stale: 1, Missing: 42}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
}

// In low light a picture is older than two nominal intervals when it is finished.
func TestNextDeliversLongExposuresAfterOneThatCameLate(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(7), After: second / 5, Age: second / 5, Repeat: 20})
	d.WaitDelays = []time.Duration{0, second / 2}
	c := open(t, d, small)
	for range 20 - 3 { // three came at once after that half second
		next(t, c)
	}
	if got := c.Counters(); got.Stale != 1 || got.Older != 2 {
		t.Errorf("Counters = %+v, want one stale and two older: only those that came together", got)
	}
}

func TestNextDeliversFromACameraWhoseClockIsAlwaysLate(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(7), Repeat: 10, Age: second})
	c := open(t, d, small)
	for range 10 {
		next(t, c)
	}
	if diff := cmp.Diff(v4l2.Counters{Delivered: 10}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
}

func TestNextDropsBadBuffersByCause(t *testing.T) {
	cases := []struct {
		name   string
		format pixfmt.FourCC
		bad    v4l2test.Step
		want   v4l2.Counters
	}{
		{"error flag", pixfmt.YUYV, v4l2test.Step{Buf: whole(1), Damaged: true},
			v4l2.Counters{Delivered: 1, Damaged: 1}},
		{"one byte short", pixfmt.YUYV, v4l2test.Step{Buf: whole(1)[1:]}, v4l2.Counters{Delivered: 1, Short: 1}},
		{"nothing in it", pixfmt.YUYV, v4l2test.Step{}, v4l2.Counters{Delivered: 1, Empty: 1}},
		{"empty JPEG", pixfmt.MJPG, v4l2test.Step{}, v4l2.Counters{Delivered: 1, Empty: 1}},
		{"JPEG that ends in its header", pixfmt.MJPG, v4l2test.Step{Buf: jpeg()[:3]},
			v4l2.Counters{Delivered: 1, Truncated: 1}},
		{"JPEG without start marker", pixfmt.MJPG, v4l2test.Step{Buf: jpeg()[1:]},
			v4l2.Counters{Delivered: 1, Truncated: 1}},
		{"JPEG of zeros", pixfmt.MJPG, v4l2test.Step{Buf: make([]byte, 5000)},
			v4l2.Counters{Delivered: 1, Truncated: 1}},
		{"gap before it", pixfmt.YUYV, v4l2test.Step{Damaged: true, Buf: whole(1), Skip: 3},
			v4l2.Counters{Delivered: 1, Damaged: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			good := v4l2test.Step{Buf: whole(1)}
			if c.format == pixfmt.MJPG {
				good.Buf = jpeg()
			}
			r := small
			r.Format = c.format
			cam := open(t, v4l2test.New(t, c.bad, good), r)
			next(t, cam)
			if diff := cmp.Diff(c.want, cam.Counters()); diff != "" {
				t.Errorf("Counters (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextAcceptsPaddingBehindAJPEG(t *testing.T) {
	r := small
	r.Format = pixfmt.MJPG
	d := v4l2test.New(t,
		v4l2test.Step{Buf: jpeg(make([]byte, 3000)...)},
		v4l2test.Step{Buf: jpeg(bytes.Repeat([]byte{0x55}, 100)...)})
	c := open(t, d, r)
	next(t, c)
	next(t, c)
}

func TestNextCountsGapsInTheSequence(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1), Skip: 5}, v4l2test.Step{Buf: whole(2), Skip: 3},
		v4l2test.Step{Buf: whole(3), Skip: 1<<32 - 6 - 4}) // the driver begins at 0 again
	c := open(t, d, small)
	for range 3 {
		next(t, c)
	}
	if got := c.Counters().Missing; got != 3 {
		t.Errorf("Missing = %d, want 3: the start and a reset do not count", got)
	}
}

func TestNextClampsStampsOfTheFuture(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1), Age: -20 * time.Millisecond},
		v4l2test.Step{Buf: whole(2), NoClock: true})
	c := open(t, d, small)
	for range 2 {
		if _, b := next(t, c); b.At != d.Now() {
			t.Errorf("At = %v, want now, %v", b.At, d.Now())
		}
	}
	if got := c.Counters().Future; got != 1 {
		t.Errorf("Future = %d, want 1", got)
	}
}

func TestNextGivesBufferBackAfterFailureOfUse(t *testing.T) {
	c := open(t, v4l2test.New(t, v4l2test.Step{Buf: whole(1), Repeat: 20}), small)
	failure := errors.New("encoder on strike")
	for range 20 { // more than there are buffers
		if err := c.Next(second, func(v4l2.Buffer) error { return failure }); err != failure {
			t.Fatalf("Next = %v, want %v", err, failure)
		}
	}
}

func TestNextTellsWhatIsWrong(t *testing.T) {
	cases := []struct {
		name string
		step v4l2test.Step
		want error
		also error
	}{
		{"unplugged, seen by poll", v4l2test.Step{WaitErr: fmt.Errorf("poll says 0x18: %w", v4l2.ErrGone)},
			v4l2.ErrGone, nil},
		{"unplugged, seen by DQBUF", v4l2test.Step{Err: unix.ENODEV}, v4l2.ErrGone, unix.ENODEV},
		{"queue in its error state", v4l2test.Step{Err: unix.EIO}, v4l2.ErrGone, unix.EIO},
		{"hangs", v4l2test.Step{WaitErr: v4l2.ErrSilent}, v4l2.ErrSilent, nil},
	}
	for _, c := range cases {
		cam := open(t, v4l2test.New(t, c.step), small)
		err := cam.Next(second, func(v4l2.Buffer) error { return nil })
		if !errors.Is(err, c.want) || c.also != nil && !errors.Is(err, c.also) {
			t.Errorf("%s: Next = %v, want %v and %v", c.name, err, c.want, c.also)
		}
	}
}

func TestNextIsSilentWhenOnlyBadBuffersCome(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: []byte{1}, Repeat: 30, After: second / 30})
	c := open(t, d, small)
	if err := c.Next(second, func(v4l2.Buffer) error { return nil }); !errors.Is(err, v4l2.ErrSilent) {
		t.Errorf("Next = %v, want ErrSilent", err)
	}
	if got := c.Counters().Short; got != 30 {
		t.Errorf("Short = %d, want 30", got)
	}
}

func TestNextReportsABufferThatCannotGoBack(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1)})
	d.RequeueErr = unix.ENODEV
	c := open(t, d, small)
	failure := errors.New("encoder on strike")
	err := c.Next(second, func(v4l2.Buffer) error { return failure })
	if !errors.Is(err, v4l2.ErrGone) || !errors.Is(err, failure) {
		t.Errorf("Next = %v, want ErrGone and the failure of use", err)
	}
}

func TestCloseInterruptsNext(t *testing.T) {
	d := v4l2test.New(t, v4l2test.Step{Hang: true})
	c, err := v4l2.OpenDriver(d, small)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- c.Next(time.Hour, func(v4l2.Buffer) error { return nil }) }()
	<-d.Hanging()
	for range 2 { // the second does nothing
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := <-done; !errors.Is(err, v4l2.ErrClosed) {
		t.Errorf("Next = %v, want ErrClosed", err)
	}
	if err := c.Next(time.Hour, nil); !errors.Is(err, v4l2.ErrClosed) {
		t.Errorf("Next after Close = %v, want ErrClosed", err)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	const runs = 200
	d := v4l2test.New(t, v4l2test.Step{Buf: whole(1), Repeat: runs + 1}) // one to warm up
	c := open(t, d, small)
	use := func(v4l2.Buffer) error { return nil }
	if got := testing.AllocsPerRun(runs, func() {
		if err := c.Next(second, use); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("allocations for a picture = %v, want 0", got)
	}
}

func TestNextDropsABufferThatALaterOneOvertook(t *testing.T) {
	back := ^uint32(0) - 1 // two numbers back, as if 0, 2, 1, 3 came
	d := v4l2test.New(t,
		v4l2test.Step{Buf: whole(10)}, v4l2test.Step{Buf: whole(12), Skip: 1},
		v4l2test.Step{Buf: whole(11), Skip: back}, v4l2test.Step{Buf: whole(13), Skip: 1})
	c := open(t, d, small)
	for _, want := range []byte{10, 12, 13} {
		if got, _ := next(t, c); got != want {
			t.Errorf("picture = %d, want %d: time never runs backwards", got, want)
		}
	}
	if diff := cmp.Diff(v4l2.Counters{Delivered: 3, Older: 1, Missing: 1}, c.Counters()); diff != "" {
		t.Errorf("Counters (-want +got):\n%s", diff)
	}
}

func TestStreamThatIsStoppedUnderneathIsACameraGone(t *testing.T) {
	c := open(t, v4l2test.New(t, v4l2test.Step{Buf: whole(1)}, v4l2test.Step{Err: unix.EINVAL}), small)
	next(t, c)
	err := c.Next(second, func(v4l2.Buffer) error { return nil })
	if !errors.Is(err, v4l2.ErrGone) || !errors.Is(err, unix.EINVAL) {
		t.Errorf("Next = %v, want ErrGone and EINVAL", err)
	}
}
