// The hardware watchdog: init pings it from before gokrazy.Boot until power-off, as long as its own
// duties go on (progress.go). It stays armed through a restart.
// Source: https://www.kernel.org/doc/html/latest/watchdog/watchdog-api.html

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchdogTimeout is how long the board may hang before the hardware resets it.
	// The Pi's own watchdog can count to 15 s.
	watchdogTimeout = 10 * time.Second
	// watchdogPingInterval: four pings may be missed.
	watchdogPingInterval = watchdogTimeout / 5
)

// startWatchdog opens the watchdog and pings it while all duties go on.
//
// gokrazy would do that, too, but it opens the watchdog only once and before /dev is mounted.
// After the exec into a root on trial that open fails, the watchdog that the old init armed is
// never pinged again, and the board falls back even from a good root. gokrazy's own attempt
// finds the device busy and gives up, which it logs.
func startWatchdog(ctx context.Context, log *slog.Logger, duties *progress) {
	dog, err := openWatchdog("/dev/watchdog")
	if errors.Is(err, fs.ErrNotExist) {
		if mountErr := mountDev(); mountErr != nil {
			log.Error("watchdog", "error", mountErr)
		}
		dog, err = openWatchdog("/dev/watchdog")
	}
	if err != nil {
		log.Warn("no hardware watchdog: a hang lasts until the power is cut", "error", err)
		return
	}
	dog.introduce(log)
	go dog.keepAlive(ctx, log, duties)
}

// softwareWatchdog is what the kernel's softdog calls itself.
const softwareWatchdog = "Software Watchdog"

// introduce logs which watchdog it is: one in software is good for a hung init, not a hung kernel.
func (w *watchdog) introduce(log *slog.Logger) {
	info, err := unix.IoctlGetWatchdogInfo(int(w.file.Fd()))
	if err != nil {
		return // an old driver, which works all the same
	}
	identity := unix.ByteSliceToString(info.Identity[:])
	if identity == softwareWatchdog {
		log.Warn("no hardware watchdog: a kernel that hangs stays so until the power is cut", "instead", identity)
		return
	}
	log.Info("watchdog", "identity", identity)
}

// mountDev mounts devtmpfs on /dev. It is no error if the kernel has done so already
// (CONFIG_DEVTMPFS_MOUNT). gokrazy's own mount then finds it busy, which it expects.
func mountDev() error {
	if err := unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount devtmpfs on /dev: %w", err)
	}
	return nil
}

type watchdog struct{ file *os.File }

// openWatchdog arms the watchdog at path: from here on it must be pinged. It is no error if the
// device refuses the time-out and keeps its own.
func openWatchdog(path string) (*watchdog, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	seconds := int(watchdogTimeout / time.Second)
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.WDIOC_SETTIMEOUT, seconds); err != nil {
		slog.Warn("watchdog keeps its own time-out", "device", path, "wanted", watchdogTimeout, "error", err)
	}
	return &watchdog{f}, nil
}

// keepAlive pings until ctx ends. A duty that stalls is logged once, and the board resets within
// watchdogTimeout, unless the duty goes on before. An outage of the device is logged when it begins
// and ends.
func (w *watchdog) keepAlive(ctx context.Context, log *slog.Logger, duties *progress) {
	tick := time.NewTicker(watchdogPingInterval)
	defer tick.Stop()
	failing, withheld := false, false
	for {
		stall := duties.stall(uptime())
		if stall == "" {
			failing = w.ping(log, failing)
		} else if !withheld {
			log.Error("the watchdog is not fed any more: it resets the board", "because", stall)
		}
		withheld = stall != ""
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ping feeds the watchdog once, and returns whether that failed.
func (w *watchdog) ping(log *slog.Logger, failing bool) bool {
	err := unix.IoctlWatchdogKeepalive(int(w.file.Fd()))
	switch {
	case err != nil && !failing:
		log.Error("watchdog ping fails", "error", err)
	case err == nil && failing:
		log.Info("watchdog ping works again")
	}
	return err != nil
}
