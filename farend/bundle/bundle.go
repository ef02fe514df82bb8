// Package bundle opens what rollouts bring to boards: signed bundles as camctl bundle makes them. It reads
// and checks the file; whom it is offered is farend/rollout's. A bundle is not verified against a key here:
// the far end has none, and a board takes nothing that its owner's key did not sign.
//
// It owns nothing but the files that it gives.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// Folder gives rollouts their bundles: a name without a path is a file in folder.
func Folder(folder string) func(bundle string) (*rollout.Bundle, error) {
	return func(name string) (*rollout.Bundle, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, filepath.Base(name))
		}
		return Open(name)
	}
}

// Open opens the file at path and reads its head. The caller closes Body.
func Open(path string) (*rollout.Bundle, error) {
	b, _, err := open(path)
	return b, err
}

func open(path string) (*rollout.Bundle, *update.Bundle, error) {
	f, err := openfile.File(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	var u *update.Bundle
	if err == nil {
		u, err = update.OpenBundle(f, info.Size())
	}
	if err != nil {
		_ = f.Close() // it was read only
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	m := u.Manifest
	// The manifest has the hash of every part.
	sum := sha256.Sum256(slices.Concat(u.Raw, u.Signature))
	return &rollout.Bundle{
		Update: rollout.Update{Version: m.Version, Board: m.Board, Index: m.Index},
		Size:   info.Size(), ETag: hex.EncodeToString(sum[:16]), Body: f,
	}, u, nil
}

// Check reads all of the file at path: boards would fetch a damaged one again and again.
func Check(path string) (rollout.Update, error) {
	b, u, err := open(path)
	if err != nil {
		return rollout.Update{}, err
	}
	defer b.Body.Close()
	for _, p := range u.Manifest.Parts {
		if err := checkPart(u, p); err != nil {
			return rollout.Update{}, fmt.Errorf("%s: part %s: damaged: %w", path, p.Name, err)
		}
	}
	return b.Update, nil
}

func checkPart(u *update.Bundle, p update.Part) error {
	r, err := u.Open(p)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		err = update.ErrBundle
	}
	return err
}

// Keep copies the file at path into folder, by the name of its update, and checks the copy. It gives that
// name. What is there by this name already is replaced once the new one is whole.
func Keep(path, folder string) (name string, _ rollout.Update, _ error) {
	u, err := Check(path)
	if err != nil {
		return "", u, err
	}
	name = u.FileName()
	to := filepath.Join(folder, name)
	from, err := openfile.File(path)
	if err != nil {
		return "", u, err
	}
	defer from.Close()
	err = atomicfile.ReplaceDurably(to, 0o600, func(f *os.File) error {
		if _, err := io.Copy(f, from); err != nil {
			return err
		}
		return giveToOwner(f.Name(), folder)
	})
	if err == nil {
		_, err = Check(to)
	}
	if err != nil {
		return "", u, fmt.Errorf("bundle: copy to %s: %w", folder, err)
	}
	return name, u, nil
}

// BoardOf names the board whose images a model runs; "" if no board's table has it.
func BoardOf(model string) string {
	match := board.DetectModel(model).Match
	for _, b := range board.All() {
		for _, m := range b.Models {
			if match != "" && m.Match == match {
				return b.Name
			}
		}
	}
	return ""
}

// MakeFolder makes a folder for bundles, if it is not there, for the owner of the folder above.
func MakeFolder(folder string) error {
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return giveToOwner(folder, filepath.Dir(folder))
}
