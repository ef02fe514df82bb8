// The kernel's clock: stepped when far off, else steered by the kernel's own PLL.
// Spec: adjtimex(2); kernel/time/ntp.c for what the fields mean.

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"github.com/beevik/ntp"
	"golang.org/x/sys/unix"
)

// stepAbove is where slewing ends: the kernel's PLL takes offsets up to 0.5 s
// (MAXPHASE) and would need minutes even for that.
const stepAbove = 500 * time.Millisecond

var errBeforeFloor = errors.New("time is before this program was built")

// A kernelClock sets the system clock and, where there is one, the real-time clock.
type kernelClock struct {
	floor time.Time
	rtc   *rtc // nil: the board has none
	log   *slog.Logger

	synced bool // set once since the start
}

// set moves the clock by s.offset: back too, if the server says so, but never to
// before the floor. poll is when the next sample is due; the PLL's time constant
// follows it. The error is errBeforeFloor or the kernel's.
func (k *kernelClock) set(s sample, poll time.Duration) error {
	now := time.Now()
	if err := checkFloor(now, s.offset, k.floor); err != nil {
		return fmt.Errorf("%s: %w", s.server, err)
	}
	step := mustStep(s.offset)
	if step {
		if err := stepClock(now.Add(s.offset)); err != nil {
			return fmt.Errorf("step clock by %v: %w", s.offset, err)
		}
	}
	tx := discipline(s, poll, step)
	if _, err := unix.Adjtimex(&tx); err != nil {
		return fmt.Errorf("adjtimex by %v: %w", s.offset, err)
	}
	if step || !k.synced {
		k.log.Info("clock set", "server", s.server, "offset", s.offset, "stepped", step, "clock", time.Now().UTC())
		k.rtc.set(k.log, time.Now())
	}
	k.synced = true
	return nil
}

func mustStep(offset time.Duration) bool { return offset.Abs() > stepAbove }

// checkFloor refuses a server that would take the clock to before the floor.
func checkFloor(now time.Time, offset time.Duration, floor time.Time) error {
	if t := now.Add(offset); t.Before(floor) {
		return fmt.Errorf("%w: %v, floor %v", errBeforeFloor, t.UTC(), floor.UTC())
	}
	return nil
}

func stepClock(t time.Time) error {
	ts, err := unix.TimeToTimespec(t.Round(0))
	if err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
}

// discipline is what the kernel is told after a sample: that the clock is
// synchronised (STA_UNSYNC is absent), how good it is, which leap second comes, and,
// unless it was stepped, the offset to steer away.
func discipline(s sample, poll time.Duration, stepped bool) unix.Timex {
	tx := unix.Timex{
		Modes:  unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR,
		Status: unix.STA_PLL | leapStatus(s.leap),
	}
	if stepped {
		return tx
	}
	tx.Modes |= unix.ADJ_OFFSET | unix.ADJ_TIMECONST
	assign(&tx.Offset, s.offset.Nanoseconds()) // at most stepAbove: fits 32 bits
	assign(&tx.Constant, timeConstant(poll))
	return tx
}

// assign bridges the fields' widths, 32 bits on ARMv7 and 64 elsewhere.
func assign[T int32 | int64](field *T, v int64) { *field = T(v) }

// timeConstant is log2(poll in s) - 4, the kernel's unit for a poll interval, from 0 to 10.
func timeConstant(poll time.Duration) int64 {
	log2 := int64(bits.Len64(uint64(max(poll/time.Second, 1)))) - 1
	return min(max(log2-4, 0), 10)
}

func leapStatus(l ntp.LeapIndicator) int32 {
	switch l {
	case ntp.LeapAddSecond:
		return unix.STA_INS
	case ntp.LeapDelSecond:
		return unix.STA_DEL
	default:
		return 0
	}
}
