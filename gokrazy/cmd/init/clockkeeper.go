// The writing side of the clock floor: /perm/clock follows the clock once an hour.

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/atomicfile"
)

const (
	// clockSaveEvery is a compromise: a board that was off is at most this much
	// behind where it could be, and the card sees 24 small writes a day.
	clockSaveEvery = time.Hour
	// clockLookEvery bounds how late the first setting of the clock is noticed.
	clockLookEvery = 5 * time.Second
)

// A clockKeeper decides when the time is worth writing down. Its three functions
// are passed in so that tests live through days at once.
type clockKeeper struct {
	now          func() time.Time
	synchronised func() bool
	save         func(time.Time) error
	log          *slog.Logger

	synced bool      // the clock was seen synchronised
	last   time.Time // of the last save, with its monotonic reading
}

func newClockKeeper(log *slog.Logger) *clockKeeper {
	return &clockKeeper{
		now:          time.Now,
		synchronised: clockSynchronised,
		save:         func(t time.Time) error { return saveClock(clockFile, t) },
		log:          log,
		last:         time.Now(), // what was read at the start needs no writing
	}
}

// run looks at the clock until ctx ends, and saves it when gokrazy is told to end
// the system: gokrazy receives the same signals, stops the services first and
// unmounts /perm after that, which leaves ample time for a write of 11 bytes.
func (k *clockKeeper) run(ctx context.Context) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(ending)
	tick := time.NewTicker(clockLookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ending:
			k.keep()
		case <-tick.C:
			k.look()
		}
	}
}

// look saves the time when the clock was first set, because a board that is on for
// half an hour each day would otherwise never save one, and then every hour.
func (k *clockKeeper) look() {
	first := !k.synced && k.synchronised()
	if first {
		k.synced = true
		k.log.Info("clock is synchronised", "clock", k.now().UTC())
	}
	if first || k.now().Sub(k.last) >= clockSaveEvery {
		k.keep()
	}
}

func (k *clockKeeper) keep() {
	now := k.now()
	k.last = now // also after a failure: a full or dead card is not asked every 5 s
	if err := k.save(now); err != nil {
		k.log.Error("clock not saved", "error", err)
	}
}

// saveClock replaces path by t, whole or not at all. It may write an earlier time
// than is there: that is how a clock that once ran ahead gets right again.
func saveClock(path string, t time.Time) error {
	line := strconv.FormatInt(t.Unix(), 10) + "\n"
	return atomicfile.ReplaceDurably(path, 0o644, atomicfile.Bytes([]byte(line)))
}

// clockSynchronised asks the kernel whether somebody disciplined the clock: the ntp
// service clears STA_UNSYNC with its first good answer. Reading needs no privilege.
func clockSynchronised() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && state != unix.TIME_ERROR
}
