// What init does between the mount of /perm and the start of the services.

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/trial"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// A boardState is what is known of the board once its services can start.
type boardState struct {
	place     place
	owner     *ownerSettings
	kept      trial.Kept     // what the run before knew of updates
	facts     control.Status // what stays the same
	permLasts bool
	modules   <-chan time.Duration // how long loading them took, once they are loaded
}

// prepareBoard makes the board ready for its services. What fails is logged: the rest is done all the
// same, because a board that streams with half of its settings is worth more than one that does not.
func prepareBoard(ctx context.Context, log *slog.Logger, ready *bootReport) boardState {
	report, list := preparePerm(log)
	named := make(chan identity, 1)
	go func() { named <- identify(ctx, log) }()

	ready.raiseClock(log, savedFloor(log, clockFile, ready.build))
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

	done := startStopwatch()
	owner := newOwnerSettings(log, list, where.running)
	kept, err := trial.Load(trial.File)
	if err != nil {
		log.Error("what was tried is not known: the promoted slot stays", "error", err)
	}
	ready.seed = owner.settle(startOf(kept, where))
	prepareFolders(log)
	ready.seedTime = done()
	facts := describeBoard(where, <-named, report.State)
	log.Info("identity", "host", facts.Hostname, "serial", facts.Serial)
	facts.BootCause = noteStart(log, list, bootCause(), beginRun(log, runFile), where)
	return boardState{where, owner, kept, facts, report.Lasts, modules}
}

// prepareFolders makes what the services write to, and what they talk to init by.
func prepareFolders(log *slog.Logger) {
	prepareState(log)
	allowEchoes(log)
	if err := prepareUpdates(); err != nil {
		log.Error("updates", "error", err)
	}
}

// superviseFromNow starts the main loop, and takes requests for it.
func (at boardState) superviseFromNow(ctx context.Context, log *slog.Logger, duties *progress) {
	s := newSupervisor(ctx, log, duties, at)
	if err := s.listen(ctx); err != nil {
		log.Error("requests", "error", err)
	}
	watchRestartRequest(ctx, log, s.askRestart)
	go s.supervise(ctx, at.kept, at.trialBoot())
}

// trialBoot is what this start says about an update.
func (at boardState) trialBoot() trial.Boot {
	b := trial.Boot{Running: string(at.place.running), Promoted: string(at.place.promoted)}
	switch at.facts.BootCause {
	case causePower:
		b.PowerCut = true
	case causeCrash:
		b.Restarted, b.Died = true, causeCrash
	case causeRestart:
		b.Restarted = true
	}
	b.Untried = missedTrial(at.place.trial, loaderCell)
	return b
}
