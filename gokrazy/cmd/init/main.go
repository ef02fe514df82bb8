// Command init is process 1 on the board. It wraps gokrazy's Boot and
// SuperviseServices in what a camera needs: a watchdog held from the first
// moment, a clock that is never behind the image, the modules of a USB webcam,
// the owner's seed, and cameras that an unprivileged camsource can open and reset.
//
// It owns the watchdog's file, /perm/clock, /perm/krazycam.json when a seed is
// taken, and the group of the video nodes. It reads nothing from the network.
//
// When it ends, the kernel panics and, with panic=10 on its command line, starts
// again after 10 s: that is how a root that cannot boot falls back to the old one.
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

// buildTime is the commit's time in Unix seconds, put in with
//
//	-ldflags "-X main.buildTime=1767225600"
//
// and not the time of compiling, so that one commit gives one image.
var buildTime string

// perm is where gokrazy mounts the partition that updates leave alone.
const perm = "/perm"

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(context.Background(), log, uptime()); err != nil {
		log.Error("init", "error", err)
		os.Exit(1)
	}
	select {} // the services run in gokrazy's goroutines
}

// run boots the board and returns once its services are under way. started is the
// kernel's uptime at which main was entered.
func run(ctx context.Context, log *slog.Logger, started time.Duration) error {
	ready := report{start: started, clock: clockKernel}

	// The build's time needs nothing mounted, so it comes first: whatever is logged,
	// created or verified from here on is not from 1970.
	build, err := parseBuildTime(buildTime)
	if err != nil {
		log.Error("clock has no floor from the build", "error", err)
	}
	ready.build = build
	ready.raise(log, floor{build, clockBuild})
	holdWatchdog(ctx, log)
	raiseLink(ctx, log)

	done := stopwatch()
	if err := gokrazy.Boot(buildTime); err != nil { // mounts /perm
		return err
	}
	ready.boot = done()

	ready.raise(log, savedFloor(log, clockFile, build))
	go newClockKeeper(log).run(ctx)

	// The nodes are watched before the driver that makes them is loaded.
	if err := watchVideoNodes(ctx, log, "/dev", board.VideoGroup, usb.ShareCameras); err != nil {
		log.Error("video nodes stay root's", "error", err)
	}
	modules := loadModules(log, board.UVCModules())

	done = stopwatch()
	ready.seed = seedFromBootPartition(log)
	preparePerm(log)
	allowEchoes(log)
	watchRestartWish(ctx, log)
	ready.seedTime = done()

	done = stopwatch()
	if err := gokrazy.SuperviseServices(services(build)); err != nil {
		return err
	}
	ready.services = done()
	ready.modules = <-modules
	ready.up = uptime()
	ready.print(os.Stderr, time.Now())
	return nil
}
