// What the two slots hold, by their manifests on the boot partition.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

const (
	maxManifest      = 256 << 10
	defaultTrialS    = 60
	maxTrialS        = 3600
	maxVersionLength = 100
)

// manifests are those of the slots that have one.
type manifests map[slot.Name]*manifest

// A manifest is what init needs of one. Its signature was checked before it was written here.
type manifest struct {
	Version string `json:"version"`
	Index   int64  `json:"index"`
	TrialS  int    `json:"trial_s"`

	raw []byte
}

func (m *manifest) version() trial.Version { return trial.Version{Version: m.Version, Index: m.Index} }

// isOf says that a record is about this version.
func (m *manifest) isOf(r trial.Record) bool { return m.Version == r.Version && m.Index == r.Index }

// trialSeconds is for how long the version must hold its rung.
func (m *manifest) trialSeconds() int {
	if m.TrialS < 1 || m.TrialS > maxTrialS {
		return defaultTrialS
	}
	return m.TrialS
}

// readManifests reads both from the folder where the boot partition is mounted. A slot without one
// holds nothing, or was left half written.
func readManifests(boot string) (manifests, error) {
	all := manifests{}
	var failed error
	for _, n := range []slot.Name{slot.A, slot.B} {
		path := filepath.Join(boot, n.Folder(), card.ManifestName)
		raw, err := openfile.Read(path, maxManifest)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var m *manifest
		if err == nil {
			m, err = parseManifest(raw)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("slot %s: %w", n, err))
			continue
		}
		all[n] = m
	}
	return all, failed
}

func parseManifest(raw []byte) (*manifest, error) {
	m := &manifest{raw: raw}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if m.Version == "" || len(m.Version) > maxVersionLength {
		return nil, fmt.Errorf("manifest: a version of %d bytes, want 1 to %d", len(m.Version), maxVersionLength)
	}
	return m, nil
}

// readCardManifests reads them from the card.
func readCardManifests() (m manifests, err error) {
	err = withBootPartition(func(boot string) (err error) {
		m, err = readManifests(boot)
		return err
	})
	return m, err
}

// publish puts the manifests where everybody may read them. One that is missing is removed.
func (m manifests) publish(folder string, promoted slot.Name) error {
	var failed error
	for n, name := range map[slot.Name]string{
		promoted: control.ManifestFile, promoted.Other(): control.OtherManifest,
	} {
		path := filepath.Join(folder, filepath.Base(name))
		var err error
		if m[n] != nil {
			err = atomicfile.Replace(path, 0o444, atomicfile.Bytes(m[n].raw))
		} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
