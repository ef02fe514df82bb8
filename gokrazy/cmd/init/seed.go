// The seed: krazycam.json on the boot partition, where any computer can put it, becomes
// /perm/krazycam.json once.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	configName = config.SeedName
	takenName  = "krazycam.seed" // SHA-256 of the last seed taken
	// maxSeedBytes is the maximum size of a seed: the copy has one newline more.
	maxSeedBytes = config.MaxBytes - 1
)

// What was done with the seed, in the words of the READY line.
const (
	seedNone      = "none"
	seedTaken     = "taken"
	seedUnchanged = "unchanged"
	seedFailed    = "failed"
	seedRefused   = "refused" // it is broken, and there is a valid configuration
)

var errSeedTooLong = errors.New("seed is too long")

// seedFromBootPartition takes the seed if there is a new one, and returns what was done. Without
// one the board keeps its configuration.
func seedFromBootPartition(log *slog.Logger) string {
	outcome := seedFailed
	err := withBootPartition(func(boot string) error {
		var err error
		outcome, err = takeSeed(boot, permFolder, config.ImageDefaults, board.SourceUser)
		reportLikeSeed(log, boot, outcome)
		return err
	})
	if err != nil {
		log.Error("seed", "error", err)
	}
	return outcome
}

// takeSeed copies the seed from the folder boot to the folder perm if it differs from the seed
// that was taken last: a change that the owner made on the board stays until the seed itself
// changes. The group, which is camsource's, can read the copy.
//
// A broken seed does not replace a valid configuration: nobody may be there to notice that the
// board has stopped streaming. Without a valid configuration it is copied, so that camsource
// reports on the console what is wrong with it.
//
// The configuration is written first and the mark after it: after a power cut between the two
// the same seed is taken again, which changes nothing. Both must last at once: a board that is
// switched on to take its seed is often switched off a moment later.
func takeSeed(boot, perm, defaults string, group int) (outcome string, err error) {
	seed, err := readSeed(filepath.Join(boot, configName))
	if err != nil {
		return seedFailed, err
	}
	if len(seed) == 0 {
		return seedNone, nil
	}
	sum := sha256.Sum256(seed)
	mark := hex.EncodeToString(sum[:])
	markPath := filepath.Join(perm, takenName)
	if last, err := openfile.Read(markPath, 1<<10); err == nil && strings.TrimSpace(string(last)) == mark {
		return seedUnchanged, nil
	}
	configPath := filepath.Join(perm, configName)
	base, _ := openfile.Read(defaults, config.MaxBytes) // an image without defaults has nil
	if _, broken := config.ParseSeed(base, configName, seed); broken != nil {
		kept, err := openfile.Read(configPath, config.MaxBytes)
		if err == nil {
			_, err = config.ParseSeed(base, configName, kept)
		}
		if err == nil {
			return seedRefused, fmt.Errorf("going on with the configuration that is there: %w", broken)
		}
	}
	err = atomicfile.ReplaceDurably(configPath, 0o640, func(f *os.File) error {
		if err := f.Chown(-1, group); err != nil {
			return err
		}
		_, err := f.Write(append(seed, '\n'))
		return err
	})
	if err != nil {
		return seedFailed, err
	}
	if err := atomicfile.ReplaceDurably(markPath, 0o600, atomicfile.Bytes([]byte(mark+"\n"))); err != nil {
		return seedFailed, err
	}
	return seedTaken, nil
}

// reportLikeSeed logs what an owner may take for the seed, if the seed itself said nothing new.
func reportLikeSeed(log *slog.Logger, boot, outcome string) {
	entries, err := os.ReadDir(boot)
	if err != nil || outcome != seedNone {
		return
	}
	for _, e := range entries {
		if config.LooksLikeSeed(e.Name()) && !e.IsDir() {
			log.Warn("not the seed: rename it to krazycam.json", "file", e.Name())
		}
	}
}

// readSeed reads the file at path; without a file the seed is empty.
func readSeed(path string) ([]byte, error) {
	f, err := openfile.File(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readTrimmed(f)
}

// readTrimmed reads a seed and removes the blanks at its end: the image has a placeholder of
// blanks, and the owner's seed overwrites only its beginning. The error of a seed of more than
// maxSeedBytes is errSeedTooLong.
func readTrimmed(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSeedBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSeedBytes {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", errSeedTooLong, configName, maxSeedBytes)
	}
	return bytes.TrimRight(b, " \t\r\n\x00"), nil
}
