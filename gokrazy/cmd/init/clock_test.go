package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	build = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	quiet = slog.New(slog.DiscardHandler)
)

func TestRaiseNeverSetsTheClockBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		now   time.Time
		floor time.Time
		want  bool
	}{
		{"a clock of 1970 is behind", time.Unix(86400, 0), build, true},
		{"a clock at the floor stays", build, build, false},
		{"a clock one second later stays", build.Add(time.Second), build, false},
		{"an unknown floor moves nothing", time.Unix(0, 0), time.Time{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := floor{at: c.floor}
			got := f.isAfter(c.now)
			if got != c.want {
				t.Errorf("isAfter(%v) = %v, want %v", c.now, got, c.want)
			}
			if got && f.at.Before(c.now) {
				t.Errorf("isAfter(%v) would set the clock back to %v", c.now, f.at)
			}
		})
	}
}

func TestSavedFloorBelievesOnlyWhatCanBe(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		want time.Time
	}{
		{"a first boot has none", "", time.Time{}},
		{"a later time is taken", "1795300000\n", time.Unix(1795300000, 0)},
		{"an earlier time is taken too and raises nothing", "1700000000\n", time.Unix(1700000000, 0)},
		{"a time after the life of every certificate is not", "9999999999\n", time.Time{}},
		{"a file of garbage is not", "\x00\x00\x00", time.Time{}},
		{"a negative time is not", "-5\n", time.Time{}},
		{"a number beyond 64 bits is not", "99999999999999999999\n", time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "clock")
			if c.file != "" {
				write(t, path, c.file)
			}
			got := savedFloor(quiet, path, build)
			if !got.at.Equal(c.want) || got.source != clockSaved {
				t.Errorf("savedFloor = %v from %s, want %v from %s", got.at, got.source, c.want, clockSaved)
			}
		})
	}
}

func TestSavedFloorIsBelievedWithoutABuildTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	write(t, path, "1795300000")
	if got := savedFloor(quiet, path, time.Time{}); got.at.Unix() != 1795300000 {
		t.Errorf("savedFloor = %v, want the saved time", got.at)
	}
}

func TestParseBuildTime(t *testing.T) {
	got, err := parseBuildTime("1795000000")
	if err != nil || got.Unix() != 1795000000 {
		t.Errorf("parseBuildTime = %v, %v, want 1795000000 s", got, err)
	}
	if _, err := parseBuildTime(""); !errors.Is(err, errNoBuildTime) {
		t.Errorf("parseBuildTime of nothing: %v, want errNoBuildTime", err)
	}
	if got, err := parseBuildTime("yesterday"); err == nil || !got.IsZero() {
		t.Errorf("parseBuildTime of a word = %v, %v, want the zero time and an error", got, err)
	}
}

func TestSaveClockMayWriteAnEarlierTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	for _, want := range []time.Time{build.Add(time.Hour), build} {
		if err := saveClock(path, want); err != nil {
			t.Fatal(err)
		}
		if got, err := readClockFile(path); err != nil || !got.Equal(want) {
			t.Errorf("read back %v, %v, want %v", got, err, want)
		}
	}
}

// A keeper's test clock: its time is moved by hand, and saves are counted in hours
// since the start.
func newTestKeeper() (k *clockKeeper, now *time.Time, saves *[]float64, synced *bool) {
	now, saves, synced = new(time.Time), new([]float64), new(bool)
	*now = build
	k = &clockKeeper{
		now:          func() time.Time { return *now },
		synchronised: func() bool { return *synced },
		save: func(t time.Time) error {
			*saves = append(*saves, t.Sub(build).Hours())
			return nil
		},
		log:  quiet,
		last: build,
	}
	return k, now, saves, synced
}

func TestClockKeeperSavesEveryHour(t *testing.T) {
	k, now, saves, _ := newTestKeeper()
	for range int(3*time.Hour/clockCheckInterval) + 1 {
		k.saveIfDue()
		*now = now.Add(clockCheckInterval)
	}
	if diff := cmp.Diff([]float64{1, 2, 3}, *saves); diff != "" {
		t.Errorf("saves at hours (-want +got):\n%s", diff)
	}
}

func TestClockKeeperSavesAtTheFirstSynchronisationOnce(t *testing.T) {
	k, now, saves, synced := newTestKeeper()
	k.saveIfDue()
	*now, *synced = build.Add(30*time.Minute), true
	k.saveIfDue()
	k.saveIfDue()
	*synced = false // a server was lost for a day
	k.saveIfDue()
	*synced = true
	k.saveIfDue()
	if diff := cmp.Diff([]float64{0.5}, *saves); diff != "" {
		t.Errorf("saves at hours (-want +got):\n%s", diff)
	}
}

func TestClockKeeperDoesNotHammerADeadCard(t *testing.T) {
	k, now, _, _ := newTestKeeper()
	tries := 0
	k.save = func(time.Time) error { tries++; return os.ErrPermission }
	for range int(90 * time.Minute / clockCheckInterval) {
		*now = now.Add(clockCheckInterval)
		k.saveIfDue()
	}
	if tries != 1 {
		t.Errorf("%d tries in 90 minutes, want 1", tries)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
