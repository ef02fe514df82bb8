package v4l2test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// recorder takes down what a Device complains about.
type recorder struct {
	testing.TB
	cleanup    func()
	complaints []string
}

func (r *recorder) Helper()            {}
func (r *recorder) Failed() bool       { return len(r.complaints) > 0 }
func (r *recorder) Cleanup(f func())   { r.cleanup = f }
func (r *recorder) Error(words ...any) { r.complaints = append(r.complaints, fmt.Sprint(words...)) }
func (r *recorder) Errorf(f string, a ...any) {
	r.complaints = append(r.complaints, fmt.Sprintf(f, a...))
}

func TestDeviceComplains(t *testing.T) {
	picture := Step{Buf: []byte{1}}
	var f v4l2.Filled
	cases := []struct {
		name  string
		steps []Step
		act   func(*Device)
		want  string // of the first complaint; "": none
	}{
		{"nothing is wrong", []Step{picture}, func(d *Device) {
			d.Wait(time.Second)
			d.Dequeue(&f)
			d.Requeue(f.Index)
			d.Stop()
			d.Close()
		}, ""},
		{"steps that were never reached", []Step{picture, picture}, func(d *Device) { d.Stop(); d.Close() },
			"2 steps were never reached"},
		{"a buffer that was not given back", []Step{picture}, func(d *Device) {
			d.Wait(time.Second)
			d.Dequeue(&f)
			d.Stop()
			d.Close()
		}, "buffer 0 was never given back"},
		{"a buffer that was given back twice", []Step{picture}, func(d *Device) {
			d.Wait(time.Second)
			d.Dequeue(&f)
			d.Requeue(f.Index)
			d.Requeue(f.Index)
			d.Stop()
			d.Close()
		}, "buffer 0 was given back but is not outside"},
		{"a stream left running", nil, func(d *Device) { d.Close() }, "never stopped"},
		{"a device left open", nil, func(d *Device) { d.Stop() }, "never closed"},
		{"a device closed twice", nil, func(d *Device) { d.Stop(); d.Close(); d.Close() }, "closed twice"},
	}
	for _, c := range cases {
		r := &recorder{TB: t}
		d := New(r, c.steps...)
		if _, err := d.SetFormat(pixfmt.YUYV, 16, 16); err != nil {
			t.Fatal(err)
		}
		if _, err := d.SetInterval(time.Second / 30); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(4); err != nil {
			t.Fatal(err)
		}
		c.act(d)
		r.cleanup()
		if got := strings.Join(r.complaints, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: complaints = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDeviceWithoutQueuedBufferLosesPictures(t *testing.T) {
	d := New(t, Step{Buf: []byte{1}, Repeat: 6})
	d.SetFormat(pixfmt.YUYV, 16, 16)
	d.SetInterval(time.Second / 30)
	d.Start(4)
	d.Advance(time.Second)
	var f v4l2.Filled
	var got []uint32
	for d.Dequeue(&f) != unix.EAGAIN {
		got = append(got, f.Sequence)
		d.Requeue(f.Index)
	}
	if fmt.Sprint(got) != "[0 1 2 3]" || d.sequence != 6 {
		t.Errorf("sequences = %v of %d, want [0 1 2 3] of 6", got, d.sequence)
	}
	d.Stop()
	d.Close()
}
