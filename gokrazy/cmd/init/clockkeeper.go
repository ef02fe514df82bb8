// Saves the clock floor of the next boot: /perm/clock follows the clock once an hour.

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/perm"
)

const (
	// clockSaveInterval is a compromise: the saved time is at most this much too early, and
	// the card gets 24 small writes a day.
	clockSaveInterval = time.Hour
	// clockCheckInterval is the maximum delay until the first setting of the clock is noticed.
	clockCheckInterval = 5 * time.Second
)

// A clockKeeper decides when to save the time. Its three functions are passed in, so that tests
// replay days at once.
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
		last:         time.Now(), // the time that was read at the start needs no saving
	}
}

// run checks the clock until ctx ends, and saves it when the system is shut down: gokrazy
// receives the same signals, stops the services first and unmounts /perm after that, which
// leaves enough time for a write of 11 bytes.
func (k *clockKeeper) run(ctx context.Context) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(ending)
	tick := time.NewTicker(clockCheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ending:
			k.saveNow()
		case <-tick.C:
			k.saveIfDue()
		}
	}
}

// saveIfDue saves the time once the clock was set, because a board that is on for half an hour
// every day would otherwise never save one, and then every hour.
func (k *clockKeeper) saveIfDue() {
	first := !k.synced && k.synchronised()
	if first {
		k.synced = true
		k.log.Info("clock is synchronised", "clock", k.now().UTC())
	}
	if first || k.now().Sub(k.last) >= clockSaveInterval {
		k.saveNow()
	}
}

func (k *clockKeeper) saveNow() {
	now := k.now()
	k.last = now // also after a failure: a full or broken card is not tried every 5 s
	if err := k.save(now); err != nil {
		k.log.Error("clock not saved", "error", err)
	}
}

// saveClock replaces the time in path by t. t may be earlier: so the file gets right again after
// a clock that ran ahead.
func saveClock(path string, t time.Time) error {
	line := strconv.FormatInt(t.Unix(), 10) + "\n"
	return perm.Overwrite(path, 0o644, []byte(line))
}

// clockSynchronised asks the kernel whether the clock is synchronised: the ntp service clears
// STA_UNSYNC with its first good answer. Reading needs no privilege.
func clockSynchronised() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && state != unix.TIME_ERROR
}
