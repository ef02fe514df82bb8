// The kernel's clock: stepped if the offset is large, else steered by the kernel's own PLL.
// Sources: adjtimex(2); kernel/time/ntp.c for the meaning of the fields.

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

// stepThreshold is the largest offset that is slewed: the kernel's PLL takes offsets up to 0.5 s
// (MAXPHASE) and needs minutes even for that.
const stepThreshold = 500 * time.Millisecond

var errBeforeFloor = errors.New("time is before this program was built")

// A kernelClock sets the system clock and, where there is one, the real-time clock.
type kernelClock struct {
	floor time.Time
	rtc   *rtc // nil: the board has none
	log   *slog.Logger

	synced bool // it was set since the start
}

// setClock moves the clock by s.offset, also back, but never to before the floor. poll is the time
// to the next sample; the PLL's time constant follows from it. The error is errBeforeFloor or
// the kernel's.
func (k *kernelClock) setClock(s sample, poll time.Duration) error {
	now := time.Now()
	if err := checkFloor(now, s.offset, k.floor); err != nil {
		return fmt.Errorf("%s: %w", s.server, err)
	}
	step := needsStep(s.offset)
	if step {
		if err := stepClock(now.Add(s.offset)); err != nil {
			return fmt.Errorf("step clock by %v: %w", s.offset, err)
		}
	}
	tx := timexFor(s, poll, step)
	if _, err := unix.Adjtimex(&tx); err != nil {
		return fmt.Errorf("adjtimex by %v: %w", s.offset, err)
	}
	if step || !k.synced {
		k.log.Info("clock set",
			"server", s.server, "offset", s.offset, "stepped", step, "clock", time.Now().UTC())
		k.rtc.setTime(k.log, time.Now())
	}
	k.synced = true
	return nil
}

func needsStep(offset time.Duration) bool { return offset.Abs() > stepThreshold }

// checkFloor refuses a sample that would set the clock to before the floor.
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

// timexFor is what adjtimex passes to the kernel after a sample: that the clock is synchronised
// (STA_UNSYNC is absent), how exact it is, which leap second comes, and, unless it was stepped,
// the offset to slew.
func timexFor(s sample, poll time.Duration, stepped bool) unix.Timex {
	tx := unix.Timex{
		Modes:  unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR,
		Status: unix.STA_PLL | leapStatus(s.leap),
	}
	if stepped {
		return tx
	}
	tx.Modes |= unix.ADJ_OFFSET | unix.ADJ_TIMECONST
	setTimexField(&tx.Offset, s.offset.Nanoseconds()) // at most stepThreshold: fits 32 bits
	setTimexField(&tx.Constant, timeConstant(poll))
	return tx
}

// setTimexField sets a field that has 32 bits on ARMv7 and 64 elsewhere.
func setTimexField[T int32 | int64](field *T, v int64) { *field = T(v) }

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
