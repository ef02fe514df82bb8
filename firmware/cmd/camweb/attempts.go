// What was fetched before and what failed, so that the gateway's offer of it is not followed for ever.
// Process 1 remembers the latest update alone; this file keeps the ones before.

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

const (
	attemptsFile   = "pulled.json"
	attemptsFormat = 1
	maxAttempts    = 20  // that are remembered
	maxTries       = 3   // of one version: a power cut may end one before it began
	maxEnding      = 300 // bytes of an ending
	// maxAttemptFile: JSON may write six bytes for one of an ending, and a version has 200 besides.
	maxAttemptFile = maxAttempts * (6*maxEnding + 200)
)

// An attempt is a version that was brought here. A version's name can be given twice; the index tells
// the two apart.
type attempt struct {
	Version string `json:"version"`
	Index   int64  `json:"index"`
	Tries   int    `json:"tries"`            // after fetches
	Ending  string `json:"ending,omitempty"` // why it is not tried again; "": nothing speaks against it
}

// attempts are the last ones, the oldest first.
type attempts struct {
	Format   int       `json:"format"`
	Attempts []attempt `json:"attempts"`
}

// attempts reads the file. One that is missing, damaged or of a later version holds none: the worst
// that follows is one more try.
func (s *service) attempts() attempts {
	var all attempts
	b, err := openfile.Read(filepath.Join(s.at.ownFolder, attemptsFile), maxAttemptFile)
	if err != nil || json.Unmarshal(b, &all) != nil || all.Format != attemptsFormat {
		return attempts{Format: attemptsFormat}
	}
	return all
}

// of is what is known of a version.
func (a attempts) of(version string, index int64) attempt {
	for _, before := range a.Attempts {
		if before.Version == version && before.Index == index {
			return before
		}
	}
	return attempt{Version: version, Index: index}
}

// with has next as the latest.
func (a attempts) with(next attempt) attempts {
	rest := slices.DeleteFunc(slices.Clone(a.Attempts), func(before attempt) bool {
		return before.Version == next.Version && before.Index == next.Index
	})
	rest = append(rest, next)
	a.Attempts = rest[max(len(rest)-maxAttempts, 0):]
	return a
}

// ended adds what status says of updates that must not be tried again.
func (a attempts) ended(status control.Status) attempts {
	add := func(version string, index int64, ending string) {
		next := a.of(version, index)
		next.Ending = strings.ToValidUTF8(ending[:min(len(ending), maxEnding)], "")
		a = a.with(next)
	}
	if f := status.Failed; f != nil {
		add(f.Version, f.Index, "it failed here: "+f.Because)
	}
	if t := status.Trial; t != nil && t.State == control.StateGivenUp {
		add(t.Version, t.Index, fmt.Sprintf("it was given up here after %d tries: %s", t.Tries, t.Reason))
	}
	return a
}

// keepEndings keeps what became of the latest update: after the next one, process 1 may have forgotten it.
func (s *service) keepEndings() error {
	status, err := control.ReadStatus(s.at.status)
	if err != nil {
		return err
	}
	before := s.attempts()
	after := before.ended(status)
	if slices.Equal(after.Attempts, before.Attempts) {
		return nil
	}
	return s.keep(after)
}

// noteAttempt keeps that a fetched version is about to be tried.
func (s *service) noteAttempt(m update.Manifest) error {
	all := s.attempts()
	next := all.of(m.Version, m.Index)
	next.Tries++
	return s.keep(all.with(next))
}

func (s *service) keep(all attempts) error {
	b, err := json.Marshal(all)
	if err == nil {
		err = atomicfile.ReplaceDurably(filepath.Join(s.at.ownFolder, attemptsFile), 0o600, atomicfile.Bytes(b))
	}
	if err != nil {
		return fmt.Errorf("note what was tried: %w", err)
	}
	return nil
}
