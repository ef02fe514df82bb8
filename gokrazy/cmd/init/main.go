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
	"log/slog"
	"os"
	"time"

	"github.com/gokrazy/gokrazy"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/trial"
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
	duties := newProgress()
	duties.begin(dutyBoot, bootLimit, started)
	startWatchdog(ctx, log, duties)
	raiseLink(ctx, log)

	done := startStopwatch()
	if err := gokrazy.Boot(buildTime); err != nil { // mounts /perm
		return err
	}
	ready.boot = done()
	permState, list := preparePerm(log)
	named := make(chan identity, 1)
	go func() { named <- identify(ctx, log) }()

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
	of := newOwner(log, list, where.running)
	ready.seed = of.settle(startOf(log, where))
	prepareState(log)
	allowEchoes(log)
	if err := prepareUpdates(); err != nil {
		log.Error("updates", "error", err)
	}
	ready.seedTime = done()
	facts := describeBoard(where, <-named, permState.State)
	log.Info("identity", "host", facts.Hostname, "serial", facts.Serial)
	noteStart(of, facts, where)

	done = startStopwatch()
	limitShutdown(ctx, duties)
	if err := gokrazy.SuperviseServices(newServices(build)); err != nil {
		return err
	}
	s := newSupervisor(ctx, log, duties, where, of, facts, servicePaths(build))
	if err := s.listen(ctx); err != nil {
		log.Error("requests", "error", err)
	}
	watchRestartRequest(ctx, log, s.askRestart)
	go s.supervise(ctx, trial.Boot{
		Running: string(where.running), Promoted: string(where.promoted), PowerCut: facts.BootCause == causePower,
		Died: missedTrial(where.trial, loaderCell),
	})
	duties.begin(dutyLoop, loopLimit, uptime())
	duties.end(dutyBoot)
	ready.services = done()
	ready.modules = <-modules
	ready.up = uptime()
	ready.printReady(os.Stderr, time.Now())
	go growPerm(log, list)
	return nil
}
