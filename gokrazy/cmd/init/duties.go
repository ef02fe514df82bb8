// What init does once the services run: its main loop, the socket, and what the loop needs of the
// board.

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/perm"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// newSupervisor makes the one of this board.
func newSupervisor(ctx context.Context, log *slog.Logger, duties *progress, at boardState) *supervisor {
	where, owner := at.place, at.owner
	services, paths := supervision{http.DefaultServeMux}, servicePaths()
	requests, doing := make(chan request), make(chan string, 1)
	writer := slotWriter{
		log: log, keys: configuredKeys, keysFile: filepath.Join(control.Folder, "update-keys"), progress: doing,
	}
	ending := stopper{services, paths, func(pid int, s unix.Signal) error { return unix.Kill(pid, s) }, time.Sleep}
	permNode, _ := partitionNode(card.Perm + 1) // preparePerm has said what is wrong with it
	return &supervisor{
		log: log, events: owner.events, owner: owner, duties: duties, place: where, facts: at.facts,
		lasts: at.permLasts, paths: paths, again: map[string]bool{},
		requests: requests, written: make(chan slotWritten, 1), doing: doing,
		environment: environment{
			now: uptime, clock: time.Now,
			look:   services.look,
			start:  services.start,
			health: func() (health.Report, error) { return health.Read(health.File) },
			kill:   func(pid int) error { return unix.Kill(pid, unix.SIGKILL) },
			withCard: func(use func(cardSwitch) error) error {
				return where.withCard(func(c *slot.Card) error { return use(c) })
			},
			manifests:   readCardManifests,
			publish:     func(m manifests, promoted slot.Name) error { return m.publish(control.Folder, promoted) },
			save:        func(k trial.Kept) error { return saveTrial(log, owner.events, k) },
			permTrouble: func() string { return perm.Trouble(permFolder, permNode) },
			writeStatus: func(s control.Status) error { return control.WriteStatus(control.StatusFile, s) },
			unsigned:    func() bool { return webConfig().Update.Gokrazy },
			writeSlot:   writer.write,
			restart: func(before func(), argument string) {
				restart(ctx, log, duties, ending, before, argument)
			},
		},
	}
}

// supervise goes on with what the run before kept, and then runs the loop until ctx ends.
func (s *supervisor) supervise(ctx context.Context, kept trial.Kept, b trial.Boot) {
	s.readManifests()
	s.begin(kept, b)
	s.run(ctx)
}

// prepareUpdates makes the folders of what this package shares with camweb.
func prepareUpdates() error {
	for _, dir := range []string{control.Folder, filepath.Dir(trial.File)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return makeOwnedFolder(control.Spool, board.WebUser)
}

// listen takes requests for s until ctx ends.
func (s *supervisor) listen(ctx context.Context) error {
	server, err := listenForRequests(control.Socket, board.WebUser, s.requests, s.log)
	if err != nil {
		return fmt.Errorf("nobody can ask for an update: %w", err)
	}
	go server.serve(ctx)
	return nil
}

// limitShutdown stops feeding the watchdog when gokrazy's own shutdown, which a signal or a button
// starts, takes too long.
func limitShutdown(ctx context.Context, log *slog.Logger, duties *progress) {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		defer signal.Stop(ending)
		select {
		case <-ctx.Done():
		case <-ending:
			duties.beginShutdown(uptime())
			endRun(log, runFile)
		}
	}()
}

// describeBoard is the part of the status that does not change.
func describeBoard(where place, who identity, permState string) control.Status {
	return control.Status{
		Board: where.board, Model: where.model, Serial: who.serial, Hostname: who.hostname,
		Version: "unknown", Perm: permState,
	}
}

// configuredKeys are the update keys of the configuration, for a card whose image has none.
func configuredKeys() []string { return webConfig().Update.Keys }

// webConfig is what this process has written for camweb: camweb itself may be in foreign hands. What
// is wrong with the owner's file, camweb and the status say.
func webConfig() config.Config {
	c, _ := config.LoadBoard(config.ImageDefaults, service{name: "camweb"}.file(configFolder))
	return c
}
