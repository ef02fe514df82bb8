package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
)

func TestCamsourceIsKilledOnlyWhenItHangs(t *testing.T) {
	lively := func(up time.Duration) (health.Report, error) {
		return health.Report{Rung: health.Sent, UptimeS: up.Seconds(), Pictures: uint64(up), Camera: "cam"}, nil
	}
	for _, c := range []struct {
		name   string
		report func(up time.Duration) (health.Report, error)
		want   string
		after  time.Duration
	}{
		{"it streams", lively, "", 0},
		{"it never reports", func(time.Duration) (health.Report, error) { return health.Report{}, errors.New("none") },
			"reported nothing", 30 * time.Second},
		{"its report stands still", func(up time.Duration) (health.Report, error) {
			return lively(min(up, time.Minute))
		}, "reported nothing", 90 * time.Second},
		{"a step does not end", func(up time.Duration) (health.Report, error) {
			r, err := lively(up)
			r.StalledS = max(0, (up - time.Minute).Seconds())
			return r, err
		}, "one of its steps", 2 * time.Minute},
		{"its camera is silent", func(up time.Duration) (health.Report, error) {
			r, err := lively(up)
			r.Pictures = uint64(min(up, time.Minute))
			return r, err
		}, "no picture", 7 * time.Minute},
		{"there is no camera", func(up time.Duration) (health.Report, error) {
			r, err := lively(up)
			r.Pictures, r.Camera = 0, ""
			return r, err
		}, "", 0},
	} {
		var w sourceWatch
		got, after := "", time.Duration(0)
		for up := time.Duration(0); up < 20*time.Minute && got == ""; up += time.Second {
			r, err := c.report(up)
			w.note(up, process{Pid: 7, StartTime: time.Unix(1, 0)}, r, err)
			got, after = w.hang(up), up
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want != "" && after != c.after {
			t.Errorf("%s: %q after %v, want %q after %v", c.name, got, after, c.want, c.after)
		}
	}
}

func TestKilledCamsourceHasItsTimeAgainAndASilentCameraCostsOneAnHour(t *testing.T) {
	var w sourceWatch
	kills, pid := 0, 1
	for up := time.Duration(0); up < 3*time.Hour; up += time.Second {
		w.note(up, process{Pid: pid, StartTime: time.Unix(int64(pid), 0)},
			health.Report{Rung: health.None, UptimeS: up.Seconds(), Camera: "broken"}, nil)
		if w.hang(up) != "" {
			kills++
			pid++
		}
	}
	if kills != 3 || w.exits != 3 {
		t.Errorf("%d kills in 3 hours, %d exits, want 3", kills, w.exits)
	}
}

func TestReportOfAProcessThatEndedCountsForNothing(t *testing.T) {
	var w sourceWatch
	r := health.Report{Rung: health.Validated, UptimeS: 10}
	w.note(10*time.Second, process{Pid: 7, StartTime: time.Unix(1, 0)}, r, nil)
	if !w.isAlive(11 * time.Second) {
		t.Error("it reports and is not alive")
	}
	w.note(12*time.Second, process{Pid: 8, StartTime: time.Unix(2, 0)}, r, nil)
	if w.isAlive(12*time.Second) || w.exits != 1 {
		t.Errorf("the next process is alive by the report of the last, %d exits", w.exits)
	}
	r.UptimeS = 13
	w.note(13*time.Second, process{Pid: 8, StartTime: time.Unix(2, 0)}, r, nil)
	if !w.isAlive(13*time.Second) || w.isAlive(13*time.Second+freshLimit) {
		t.Error("want it alive with its own report, for as long as that is fresh")
	}
}

// gokrazy notes the time of a start before it has started the process.
func TestAStartThatIsSeenHalfwayIsOneExit(t *testing.T) {
	var w serviceWatch
	for _, p := range []process{
		{Pid: 7, StartTime: time.Unix(1, 0)},
		{Pid: 7, StartTime: time.Unix(2, 0)},
		{Pid: 8, StartTime: time.Unix(2, 0)},
	} {
		w.follow(p)
	}
	if w.exits != 1 || w.process.Pid != 8 {
		t.Errorf("%d exits, process %d, want 1 and 8", w.exits, w.process.Pid)
	}
}
