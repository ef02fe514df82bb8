// The clock floor: boards have no real-time clock, but the image and /perm hold a time that is
// certainly past. TLS certificates are valid at that time or later.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// Where the clock's time came from, in the words of the READY line.
const (
	clockKernel = "kernel" // later than every floor: a real-time clock, or a warm start
	clockBuild  = "build"
	clockSaved  = "saved"
)

// clockFile holds the last known time in Unix seconds. Only init writes it.
const clockFile = permFolder + "/clock"

// maxClockAhead is how far after the build a saved time may be. A damaged file must not set the
// clock to a time when every certificate has expired.
const maxClockAhead = 20 * 365 * 24 * time.Hour

var errNoBuildTime = errors.New("program was built without -X main.buildTime")

// parseBuildTime reads Unix seconds. With an error it returns the zero time.
func parseBuildTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, errNoBuildTime
	}
	t, err := parseSeconds(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("build time: %w", err)
	}
	return t, nil
}

func parseSeconds(s string) (time.Time, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if n <= 0 {
		return time.Time{}, fmt.Errorf("%d s is not after 1970", n)
	}
	return time.Unix(n, 0), nil
}

// readClockFile returns the time that path holds, and the zero time with an error.
func readClockFile(path string) (time.Time, error) {
	b, err := openfile.Read(path, 1<<10)
	if err != nil {
		return time.Time{}, err
	}
	t, err := parseSeconds(string(b))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// A floor is a time that is certainly past, and its source.
type floor struct {
	at     time.Time
	source string
}

// isAfter says whether a clock that shows now is behind the floor.
func (f floor) isAfter(now time.Time) bool { return f.at.After(now) }

// isBelievable says whether a saved time can come from this image or an earlier one.
func isBelievable(saved, build time.Time) bool {
	return build.IsZero() || saved.Before(build.Add(maxClockAhead))
}

// savedFloor is the time that path holds, or the zero floor. A first boot has no such file.
func savedFloor(log *slog.Logger, path string, build time.Time) floor {
	saved, err := readClockFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Error("saved time is unreadable", "error", err)
	case !isBelievable(saved, build):
		log.Error("saved time is not believable", "file", path, "saved", saved.UTC(), "build", build.UTC())
	default:
		return floor{saved, clockSaved}
	}
	return floor{source: clockSaved}
}

// raiseSystemClock sets the system clock if it is behind the floor, and says whether it did.
func (f floor) raiseSystemClock(log *slog.Logger) bool {
	if !f.isAfter(time.Now()) {
		return false
	}
	ts, err := unix.TimeToTimespec(f.at)
	if err == nil {
		err = unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
	}
	if err != nil {
		log.Error("clock stays behind", "floor", f.at.UTC(), "from", f.source, "error", err)
		return false
	}
	return true
}
