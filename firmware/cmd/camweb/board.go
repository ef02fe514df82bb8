// What process 1 says of the board, and what it is asked to do.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A refusal is process 1's no, in an owner's words.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

// ask has process 1 do something, and waits until it is done.
func (at places) ask(ctx context.Context, what string) error {
	answer, err := control.Ask(ctx, at.socket, control.Request{Ask: what})
	if err != nil {
		return err
	}
	if !answer.OK {
		return refusal{answer.Error}
	}
	return nil
}

// slots are the manifests of the two slots, as process 1 found them.
type slots struct {
	promotedRaw, otherRaw []byte // nil: there is none
	promoted              update.Manifest
	other                 *update.Manifest
}

// readSlots reads the manifests. Without a promoted one the zero Manifest stands for it, which any
// version may follow.
func (at places) readSlots() (slots, error) {
	var s slots
	var err error
	if s.promotedRaw, err = readManifest(at.promoted); err != nil {
		return s, err
	}
	if s.promotedRaw != nil {
		if s.promoted, err = update.ParseManifest(s.promotedRaw); err != nil {
			return s, fmt.Errorf("running version: %w", err)
		}
	}
	if s.otherRaw, err = readManifest(at.other); err != nil {
		return s, err
	}
	if s.otherRaw != nil {
		if m, err := update.ParseManifest(s.otherRaw); err == nil { // else nothing is lost with it
			s.other = &m
		}
	}
	return s, nil
}

func readManifest(path string) ([]byte, error) {
	raw, err := openfile.Read(path, update.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}
