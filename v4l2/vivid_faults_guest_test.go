//go:build vm

// Each fault that vivid can be told to have, and what our counters said. Runs inside the VM
// that vivid_test.go boots.

package v4l2

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestVividLeavesNothingBehindWhenItRefusesToStart(t *testing.T) {
	c := mustOpen(t, wish)
	if err := c.dev.Stop(); err != nil {
		t.Fatal(err)
	}
	before := countResources()
	for range 50 {
		inject(t, c, "inject_vidioc_streamon_error", 1)
		if err := c.dev.Start(bufferCount); !errors.Is(err, unix.EINVAL) {
			t.Fatalf("Start = %v, want the injected EINVAL", err)
		}
	}
	mustHoldNoMoreThan(t, before)
	if err := c.dev.Start(bufferCount); err != nil {
		t.Fatal(err)
	}
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Error(err)
	}
	figure(t, "vivid", "50 injected STREAMON errors, each an EINVAL: nothing left over; then %s",
		describeCounters(c.Counters()))
}

func TestVividDamagedBuffersAreDropped(t *testing.T) {
	c := mustOpen(t, wish)
	for range 5 {
		inject(t, c, "inject_v4l2_buf_flag_error", 1)
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Fatal(err)
		}
	}
	figure(t, "vivid", "error flag: %s", describeCounters(c.Counters()))
	if got := c.Counters().Damaged; got == 0 {
		t.Error("Damaged = 0, want some")
	}
}

func TestVividDroppedBuffersAreCounted(t *testing.T) {
	c := mustOpen(t, wish)
	inject(t, c, "percentage_of_dropped_buffers", 50)
	defer inject(t, c, "percentage_of_dropped_buffers", 0)
	for range 20 {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Fatal(err)
		}
	}
	figure(t, "vivid", "half of the buffers dropped: %s", describeCounters(c.Counters()))
	if got := c.Counters().Missing; got == 0 {
		t.Error("Missing = 0, want some")
	}
}

func TestVividFatalErrorIsToldAndMendedByOpeningAgain(t *testing.T) {
	var told string
	for range 3 {
		c := mustOpen(t, wish)
		inject(t, c, "inject_fatal_streaming_error", 1)
		var err error
		for range 10 { // what was filled before still comes
			if err = c.Next(5*time.Second, ignore); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrGone) {
			t.Errorf("Next = %v, want ErrGone", err)
		}
		t.Log(err)
		told = describeCounters(c.Counters())
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	figure(t, "vivid",
		"3 fatal streaming errors: each told as a camera gone and mended by opening again; the last time %s", told)
}

func TestVividFaultsOfTheQueueAreToldAndMendedByOpeningAgain(t *testing.T) {
	for _, name := range []string{"inject_vidioc_reqbufs_error", "inject_vidioc_qbuf_error"} {
		c := mustOpen(t, wish)
		if err := c.dev.Stop(); err != nil {
			t.Fatal(err)
		}
		inject(t, c, name, 1)
		err := c.dev.Start(bufferCount)
		if err == nil {
			t.Errorf("%s: Start went well", name)
		}
		if err := c.dev.Start(bufferCount); err != nil {
			t.Errorf("%s: Start after that: %v", name, err)
		}
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Errorf("%s: Next after that: %v", name, err)
		}
		figure(t, "vivid", "%s: %v; then %s", name, err, describeCounters(c.Counters()))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// vivid takes these two when a stream begins: its numbers then start at 2^32-128, its stamps
// 16 s before 2^63 ns or, by its other setting, before 2^31 s.
func TestVividWrapsOfSequenceAndTimeAreDelivered(t *testing.T) {
	const mode = 2 // 32 bits, what a struct timeval of a 32-bit board holds
	setup := mustOpen(t, wish)
	inject(t, setup, "wrap_sequence_number", 1)
	inject(t, setup, "wrap_timestamp", mode)
	if err := setup.Close(); err != nil {
		t.Fatal(err)
	}
	c := mustOpen(t, wish)
	defer func() { inject(t, c, "wrap_timestamp", 0); inject(t, c, "wrap_sequence_number", 0) }()
	var first, last uint32
	wraps, stamps := 0, 0
	for began := Now(); Now()-began < 17*time.Second; {
		err := c.Next(5*time.Second, func(b Buffer) error {
			if first == 0 {
				first = b.Sequence
			}
			if b.Sequence < last {
				wraps++
			}
			last = b.Sequence
			if now := Now(); b.At > now || now-b.At > time.Second {
				stamps++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := c.Counters()
	figure(t, "vivid", "sequence from %#x to %#x, time stamps across 2^31 s: %s", first, last, describeCounters(got))
	if first < 1<<32-128 || wraps != 1 || got.Missing > 200 {
		t.Errorf("sequence from %#x to %#x, %d wraps, %d missing; want one wrap and few missing", first, last,
			wraps, got.Missing)
	}
	if got.Future == 0 || stamps > 0 {
		t.Errorf("%d stamps of the future clamped, %d delivered that were neither now nor a moment ago", got.Future,
			stamps)
	}
}
