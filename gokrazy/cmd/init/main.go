// Command init is process 1 on the board. Around gokrazy's Boot and SuperviseServices it does what
// a camera needs: it pings the watchdog from the first moment, never lets the clock be behind the
// image, loads the modules of a USB webcam, keeps /perm usable, gives each service its part of the
// owner's settings, and lets an unprivileged camsource open and reset cameras. Once the services
// run it judges the slot that runs, ends what hangs, and takes requests for updates
// (supervisor.go).
//
// It owns the watchdog's device, /perm but for the services' own folders, /run/config, the group of
// the video nodes, and whatever says which slot starts. It reads nothing from the network.
//
// When it ends, the kernel panics and, with panic=10 on its command line, restarts after 10 s. On
// every model a slot on trial is started once: what starts after it is the promoted slot.
//
// Sources: github.com/gokrazy/gokrazy (gokrazy.go, mount.go, supervise.go).
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/gokrazy/gokrazy"
)

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

// buildTime is the commit's time in Unix seconds, set with
//
//	-ldflags "-X main.buildTime=1767225600"
//
// It is not the time of compiling, so that one commit gives one image.
var buildTime string

// permFolder is where gokrazy mounts the partition that updates do not touch.
const permFolder = "/perm"

func main() {
	if os.Getpid() != 1 && slices.Equal(os.Args[1:], []string{"--version"}) {
		fmt.Println("init", version)
		return
	}
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
	var err error
	if ready.build, err = parseBuildTime(buildTime); err != nil {
		log.Error("clock has no floor from the build", "error", err)
	}
	ready.raiseClock(log, floor{ready.build, clockBuild})
	duties := newProgress()
	duties.begin(dutyBoot, bootLimit, started)
	startWatchdog(ctx, log, duties)
	raiseLink(ctx, log)

	done := startStopwatch()
	if err := gokrazy.Boot(buildTime); err != nil { // mounts /perm
		return err
	}
	ready.boot = done()
	at := prepareBoard(ctx, log, &ready)

	done = startStopwatch()
	limitShutdown(ctx, log, duties)
	if err := gokrazy.SuperviseServices(newServices(ready.build)); err != nil {
		return err
	}
	at.superviseFromNow(ctx, log, duties)
	duties.begin(dutyLoop, loopLimit, uptime())
	duties.end(dutyBoot)
	ready.services = done()
	ready.modules = <-at.modules
	ready.up = uptime()
	ready.printReady(os.Stderr, time.Now())
	go growPerm(log, at.owner.events)
	return nil
}
