// The seed: krazycam.json on the boot partition, where any computer can put it,
// becomes /perm/krazycam.json once.

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
)

const (
	configName = "krazycam.json"
	takenName  = "krazycam.seed" // sha256 of the last seed taken
	// maxSeed is the most bytes of a seed that are read: the copy has a newline more.
	maxSeed = config.MaxBytes - 1
)

// What became of the seed, as the READY line says it.
const (
	seedNone      = "none"
	seedTaken     = "taken"
	seedUnchanged = "unchanged"
	seedFailed    = "failed"
	seedRefused   = "refused" // it is broken, and there is a configuration to go on with
)

var errSeedTooLong = errors.New("seed is too long")

// seedFromBootPartition takes the seed if there is a new one and returns what
// became of it. Without one the board runs with the configuration it has.
func seedFromBootPartition(log *slog.Logger) string {
	outcome := seedFailed
	err := withBootPartition(func(boot string) error {
		var err error
		outcome, err = takeSeed(boot, perm, board.SourceUser)
		return err
	})
	if err != nil {
		log.Error("seed", "error", err)
	}
	return outcome
}

// takeSeed copies the seed from the folder boot to the folder perm if it differs
// from the one taken last: an owner's change made on the board's page stays until
// the seed itself changes. The copy is readable by group, which is camsource's.
//
// A broken seed does not replace a configuration that is not: nobody may be there to see the
// board fall silent. Where there is none it is copied all the same, so that camsource says
// on the console what is wrong with it.
//
// The configuration is written first and the mark after it: a power cut between
// the two takes the same seed again, which changes nothing. Both must last at once: a
// board that is switched on to take its seed may well be switched off a moment later.
func takeSeed(boot, perm string, group int) (outcome string, err error) {
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
	if last, err := os.ReadFile(markPath); err == nil && strings.TrimSpace(string(last)) == mark {
		return seedUnchanged, nil
	}
	configPath := filepath.Join(perm, configName)
	if _, broken := config.Parse(configName, seed); broken != nil {
		if _, err := config.Load(configPath); err == nil {
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

// readSeed reads the file at path; a file that is not there is an empty seed.
func readSeed(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return trimSeed(f)
}

// trimSeed returns what r holds without the blanks at its end, which the image's
// placeholder leaves behind whatever is written over its beginning: nothing, if
// nobody wrote to it. More than maxSeed bytes are errSeedTooLong.
func trimSeed(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSeed+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSeed {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", errSeedTooLong, configName, maxSeed)
	}
	return bytes.TrimRight(b, " \t\r\n\x00"), nil
}
