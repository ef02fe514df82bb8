package main

import (
	"errors"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestMustStep(t *testing.T) {
	for _, c := range []struct {
		offset time.Duration
		want   bool
	}{
		{0, false},
		{500 * time.Millisecond, false},
		{-500 * time.Millisecond, false},
		{501 * time.Millisecond, true},
		{-501 * time.Millisecond, true},
		{56 * 365 * 24 * time.Hour, true},
		{-1 << 63, true},
	} {
		if got := needsStep(c.offset); got != c.want {
			t.Errorf("needsStep(%v) = %v, want %v", c.offset, got, c.want)
		}
	}
}

func TestCheckFloorLetsTheClockGoBackToTheBuildAndNoFurther(t *testing.T) {
	floor := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	now := floor.Add(time.Hour)
	for _, c := range []struct {
		name   string
		offset time.Duration
		want   error
	}{
		{"forward", time.Minute, nil},
		{"back within the hour", -30 * time.Minute, nil},
		{"back to the floor", -time.Hour, nil},
		{"back beyond it", -time.Hour - time.Second, errBeforeFloor},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := checkFloor(now, c.offset, floor); !errors.Is(err, c.want) {
				t.Errorf("checkFloor(%v) = %v, want %v", c.offset, err, c.want)
			}
		})
	}
}

func TestDiscipline(t *testing.T) {
	slew := timexFor(sample{offset: -300 * time.Millisecond, leap: ntp.LeapAddSecond}, time.Hour, false)
	if slew.Offset != -300e6 || slew.Modes&unix.ADJ_OFFSET == 0 || slew.Constant != 7 {
		t.Errorf("a small offset is not steered away: %+v", slew)
	}
	if slew.Status != unix.STA_PLL|unix.STA_INS {
		t.Errorf("status = %#x, want the PLL and a leap second", slew.Status)
	}
	step := timexFor(sample{offset: time.Hour}, minPollInterval, true)
	if step.Modes&unix.ADJ_OFFSET != 0 {
		t.Errorf("a stepped clock is steered too: %+v", step)
	}
	if step.Modes&unix.ADJ_STATUS == 0 || step.Status&unix.STA_UNSYNC != 0 {
		t.Errorf("a stepped clock stays marked as unsynchronised: %+v", step)
	}
}

func TestTimeConstantFollowsThePollInterval(t *testing.T) {
	var got []int64
	for _, poll := range []time.Duration{0, time.Second, 16 * time.Second, minPollInterval, 128 * time.Second,
		maxPollInterval, 1 << 62} {
		got = append(got, timeConstant(poll))
	}
	if diff := cmp.Diff([]int64{0, 0, 0, 2, 3, 7, 10}, got); diff != "" {
		t.Errorf("time constants (-want +got):\n%s", diff)
	}
}

func TestRTCTimeIsInUTC(t *testing.T) {
	east := time.FixedZone("east", 5*3600)
	got := rtcTime(time.Date(2027, 1, 1, 2, 3, 4, 0, east))
	want := unix.RTCTime{Sec: 4, Min: 3, Hour: 21, Mday: 31, Mon: 11, Year: 126}
	if got != want {
		t.Errorf("rtcTime = %+v, want %+v", got, want)
	}
}
