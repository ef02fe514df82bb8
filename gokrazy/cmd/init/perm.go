// /perm, before anything else uses it: gokrazy has tried to mount it.

package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/perm"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// preparePerm makes /perm a folder that can be written, whatever the card is like, and opens the log
// of events, which says what was done. The report is for the status.
func preparePerm(log *slog.Logger) (perm.Report, *events.Log) {
	node, err := partitionNode(card.Perm + 1)
	if err != nil {
		log.Error("/perm", "error", err)
	}
	report := perm.OnBoard(permFolder, node).Ensure()
	removed := ""
	if report.Lasts {
		if removed, err = perm.MakeRoom(permFolder); err != nil {
			log.Error("/perm", "error", err)
		}
	}
	if err := linkVar(permFolder); err != nil && report.Lasts {
		log.Error("/perm", "error", err)
	}
	list, err := events.Open(events.Folder, time.Now)
	if err != nil {
		log.Error("events are kept in memory only, or some are lost", "error", err)
	}
	if !report.Lasts {
		tell(log, list, events.Perm, "/perm is not what it should be: "+report.State)
	}
	if report.Changes != "" {
		tell(log, list, events.Perm, "/perm: "+report.Changes)
	}
	if removed != "" {
		tell(log, list, events.Perm, "/perm was full; it lost "+removed)
	}
	return report, list
}

// saveTrial saves what becomes of an update. A service in foreign hands may have filled /perm since the
// start: then room is made, once, as at the next start.
func saveTrial(log *slog.Logger, list *events.Log, k trial.Kept) error {
	save := func() error { return trial.Save(trial.File, k) }
	removed, err := saveWithRoom(save, func() (string, error) { return perm.MakeRoom(permFolder) })
	if removed != "" {
		tell(log, list, events.Perm, "/perm was full; it lost "+removed)
	}
	return err
}

// saveWithRoom calls save, and where the disk is full once more after makeRoom, which says what went.
func saveWithRoom(save func() error, makeRoom func() (string, error)) (removed string, err error) {
	if err = save(); !errors.Is(err, unix.ENOSPC) {
		return "", err
	}
	removed, full := makeRoom()
	if full != nil {
		return removed, errors.Join(err, full)
	}
	return removed, save()
}

// linkVar makes what /var of the root leads to, as gokrazy does: it may have had no /perm to do it on.
func linkVar(dir string) error {
	err := os.MkdirAll(dir+"/var", 0o755)
	if err == nil {
		err = os.Symlink("/run", dir+"/var/run")
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// tell says something on the console and keeps it as an event.
func tell(log *slog.Logger, list *events.Log, kind, text string) {
	log.Warn(text, "event", kind)
	if err := list.Add(kind, text); err != nil {
		log.Error("events", "error", err)
	}
}

// growPerm gives /perm the rest of its partition, in the background: a card's partition is made for
// the card (camctl flash), its file system for the image. On a slow card it takes seconds.
func growPerm(log *slog.Logger, list *events.Log) {
	node, err := partitionNode(card.Perm + 1)
	if err != nil {
		return // preparePerm has said so
	}
	before, after, err := perm.Grow(permFolder, node)
	switch {
	case err != nil:
		log.Error("/perm keeps its size", "error", err)
	case after > before:
		log.Info("/perm has grown to the size of its partition", "from", before, "to", after)
	}
}
