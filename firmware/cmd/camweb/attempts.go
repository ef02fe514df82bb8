// What was pulled before, so that a version which failed is not fetched for ever: by the hash of its
// manifest, since a version's name can be given twice.

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

const (
	attemptsFile   = "pulled.json"
	attemptsFormat = 1
	maxAttempts    = 20       // that are remembered
	maxTries       = 3        // of one version: a power cut may end one before it began
	maxAttemptFile = 16 << 10 // bytes
)

// An attempt is a version that was pulled.
type attempt struct {
	Manifest string    `json:"manifest"` // its SHA-256
	Version  string    `json:"version"`
	Index    int64     `json:"index"`
	Tries    int       `json:"tries"`
	At       time.Time `json:"at"` // the last one, by the board's clock
}

// attempts are the last ones, the oldest first.
type attempts struct {
	Format   int       `json:"format"`
	Attempts []attempt `json:"attempts"`
}

func attemptOf(raw []byte, m update.Manifest) attempt {
	sum := sha256.Sum256(raw)
	return attempt{Manifest: hex.EncodeToString(sum[:]), Version: m.Version, Index: m.Index}
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

// of is what is known of a version; the zero attempt is nothing.
func (a attempts) of(mark attempt) attempt {
	for _, before := range a.Attempts {
		if before.Manifest == mark.Manifest {
			return before
		}
	}
	return attempt{}
}

// noteAttempt keeps that a version is about to be tried.
func (s *service) noteAttempt(mark attempt) error {
	all := s.attempts()
	mark.Tries = all.of(mark).Tries + 1
	mark.At = now().UTC().Truncate(time.Second)
	rest := attempts{Format: attemptsFormat}
	for _, before := range all.Attempts {
		if before.Manifest != mark.Manifest {
			rest.Attempts = append(rest.Attempts, before)
		}
	}
	rest.Attempts = append(rest.Attempts, mark)
	rest.Attempts = rest.Attempts[max(len(rest.Attempts)-maxAttempts, 0):]
	b, err := json.Marshal(rest)
	if err == nil {
		err = atomicfile.ReplaceDurably(filepath.Join(s.at.ownFolder, attemptsFile), 0o600, atomicfile.Bytes(b))
	}
	if err != nil {
		return fmt.Errorf("note what is tried: %w", err)
	}
	return nil
}
