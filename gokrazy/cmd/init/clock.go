// The clock floor: boards have no clock, but the image and /perm know a time that
// is certainly past. TLS certificates are valid at that time or later.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where the clock's time came from, as the READY line says it.
const (
	clockKernel = "kernel" // later than every floor: a real-time clock, or a warm start
	clockBuild  = "build"
	clockSaved  = "saved"
)

// clockFile holds the last known time in Unix seconds. init alone writes it.
const clockFile = perm + "/clock"

// maxAhead bounds how far after the build a saved time is believed. A damaged file
// must not carry the board beyond the life of every certificate.
const maxAhead = 20 * 365 * 24 * time.Hour

var errNoBuildTime = errors.New("program was built without -X main.buildTime")

// parseBuildTime reads Unix seconds. The zero time comes with every error.
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

// readClockFile returns the time kept in path: the zero time with every error.
func readClockFile(path string) (time.Time, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	t, err := parseSeconds(string(b))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// A floor is a time that is certainly past, and where that is known from.
type floor struct {
	at     time.Time
	source string
}

// raise returns the time to set and true when the clock at now is behind f. It
// never asks for an earlier time.
func (f floor) raise(now time.Time) (time.Time, bool) {
	return f.at, f.at.After(now)
}

// believable reports whether a saved time can stem from this image or one before.
func believable(saved, build time.Time) bool {
	return build.IsZero() || saved.Before(build.Add(maxAhead))
}

// savedFloor is the time kept in /perm, or the zero floor. A first boot has none.
func savedFloor(log *slog.Logger, path string, build time.Time) floor {
	saved, err := readClockFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Error("saved time is unreadable", "error", err)
	case !believable(saved, build):
		log.Error("saved time is not believable", "file", path, "saved", saved.UTC(), "build", build.UTC())
	default:
		return floor{saved, clockSaved}
	}
	return floor{source: clockSaved}
}

// apply sets the system clock if it is behind f and returns f's source if it was.
func (f floor) apply(log *slog.Logger) (source string, raised bool) {
	t, behind := f.raise(time.Now())
	if !behind {
		return "", false
	}
	ts, err := unix.TimeToTimespec(t)
	if err == nil {
		err = unix.ClockSettime(unix.CLOCK_REALTIME, &ts)
	}
	if err != nil {
		log.Error("clock stays behind", "floor", t.UTC(), "from", f.source, "error", err)
		return "", false
	}
	return f.source, true
}
