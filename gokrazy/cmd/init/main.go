// Command init is process 1 on the board. Around gokrazy's Boot and SuperviseServices it does
// what a camera needs: it pings the watchdog from the first moment, never lets the clock be
// behind the image, loads the modules of a USB webcam, takes the owner's seed, and lets an
// unprivileged camsource open and reset cameras.
//
// It owns the watchdog's device, /perm/clock, /perm/krazycam.json when it takes a seed, and the
// group of the video nodes. It reads nothing from the network.
//
// When it ends, the kernel panics and, with panic=10 on its command line, restarts after 10 s:
// so a root that cannot boot falls back to the old one.
//
// Sources: github.com/gokrazy/gokrazy (gokrazy.go, mount.go, supervise.go).
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/gokrazy/gokrazy"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// buildTime is the commit's time in Unix seconds, set with
//
//	-ldflags "-X main.buildTime=1767225600"
//
// It is not the time of compiling, so that one commit gives one image.
var buildTime string

// permFolder is where gokrazy mounts the partition that updates do not touch.
const permFolder = "/perm"

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(context.Background(), log, uptime()); err != nil {
		log.Error("init", "error", err)
		os.Exit(1)
	}
	select {} // the services run in gokrazy's goroutines
}

// run boots the board and returns once its services have been started. started is the kernel's
// uptime when main began.
func run(ctx context.Context, log *slog.Logger, started time.Duration) error {
	ready := bootReport{start: started, clock: clockKernel}

	// The build's time needs no mounted file system, so it comes first: nothing that is
	// logged, created or verified from here on is from 1970.
	build, err := parseBuildTime(buildTime)
	if err != nil {
		log.Error("clock has no floor from the build", "error", err)
	}
	ready.build = build
	ready.raiseClock(log, floor{build, clockBuild})
	startWatchdog(ctx, log)
	raiseLink(ctx, log)

	done := startStopwatch()
	if err := gokrazy.Boot(buildTime); err != nil { // mounts /perm
		return err
	}
	ready.boot = done()

	ready.raiseClock(log, savedFloor(log, clockFile, build))
	go newClockKeeper(log).run(ctx)

	where, err := findPlace()
	if err != nil {
		log.Error("the board does not know how to be updated", "error", err)
	}
	log.Info("slots", "running", where.running, "promoted", where.promoted, "tried_by", where.trial)

	// Watch the nodes before the driver is loaded that makes them.
	if err := watchVideoNodes(ctx, log, "/dev", board.VideoGroup, usb.ShareCameras); err != nil {
		log.Error("video nodes stay root's", "error", err)
	}
	modules := loadModules(log, board.UVCModules())

	done = startStopwatch()
	ready.seed = seedFromBootPartition(log)
	prepareState(log)
	allowEchoes(log)
	watchRestartRequest(ctx, log)
	ready.seedTime = done()

	done = startStopwatch()
	if err := gokrazy.SuperviseServices(newServices(build)); err != nil {
		return err
	}
	ready.services = done()
	ready.modules = <-modules
	ready.up = uptime()
	ready.printReady(os.Stderr, time.Now())
	return nil
}
