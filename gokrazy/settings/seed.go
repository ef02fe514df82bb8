// The seed: krazycam.json on the boot partition, where any computer can put it, becomes the running
// slot's configuration once. And reset, beside it, which begins anew.

package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// maxSeedBytes is the maximum size of a seed: the copy has one newline more.
const maxSeedBytes = config.MaxBytes - 1

// What was done with the seed, in the words of init's READY line.
const (
	SeedNone      = "none"
	SeedTaken     = "taken"
	SeedUnchanged = "unchanged"
	SeedFailed    = "failed"
	SeedRefused   = "refused" // it is broken, and there is a valid configuration
)

// ErrSeedTooLong is the error about a seed of more than 64 KiB.
var ErrSeedTooLong = errors.New("seed is too long")

// seedMark says which seed is in a slot's configuration.
type seedMark struct {
	Format int    `json:"format"`
	SHA256 string `json:"sha256"` // of the seed without the blanks at its end
}

// TakeSeed copies the seed from the folder boot into slot n's configuration if it differs from the
// seed that was taken last: a change that the owner made on the board stays until the seed itself
// changes. If the configuration is damaged, and there is no last good one, the same seed is taken
// again.
//
// A broken seed does not replace a configuration that can be used: nobody may be there to notice
// that the board has stopped streaming. A seed with a key that this version does not know counts as
// broken here, because the key is more often a mistake than news. Without such a configuration even
// a broken seed is taken, so that the board goes by what it knows of it and says what is wrong.
//
// The configuration is written first and the mark after it: after a power cut between the two
// the same seed is taken again, which changes nothing. Both must last at once: a board that is
// switched on to take its seed is often switched off a moment later.
func (s Store) TakeSeed(boot string, n slot.Name) (outcome string, err error) {
	seed, err := readSeed(filepath.Join(boot, fileName))
	if err != nil {
		return SeedFailed, err
	}
	if len(seed) == 0 {
		return SeedNone, nil
	}
	sum := sha256.Sum256(seed)
	mark := seedMark{format, hex.EncodeToString(sum[:])}
	present := s.present(n)
	var last seedMark
	if _, err := readState(s.path(n, seedName), &last); err == nil && last == mark && present != FromDefaults {
		return SeedUnchanged, nil
	}
	if _, broken := config.ParseSeed(config.WriteItems(s.Defaults), fileName, seed); broken != nil {
		if present != FromDefaults {
			return SeedRefused, fmt.Errorf("going on with the configuration that is there: %w", broken)
		}
		if last == mark && s.holds(n, seed) {
			return SeedUnchanged, nil // Load has said what is wrong with it
		}
	}
	if err := s.makeFolder(n); err != nil {
		return SeedFailed, err
	}
	if err := replace(s.path(n, fileName), append(seed, '\n')); err != nil {
		return SeedFailed, err
	}
	if err := writeState(s.path(n, seedName), mark); err != nil {
		return SeedFailed, err
	}
	return SeedTaken, nil
}

// present says what the board would go by as it is.
func (s Store) present(n slot.Name) string {
	path := s.path(n, fileName)
	if raw, err := openfile.Read(path, config.MaxBytes); err == nil && config.Judge(s.Defaults, path, raw).Usable {
		return FromFile
	}
	return s.instead(n, nil).From
}

// holds says whether the slot's configuration is this seed.
func (s Store) holds(n slot.Name, seed []byte) bool {
	raw, err := readFile(s.path(n, fileName))
	return err == nil && bytes.Equal(bytes.TrimRight(raw, "\n"), seed)
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
// maxSeedBytes is ErrSeedTooLong.
func readTrimmed(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSeedBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSeedBytes {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrSeedTooLong, fileName, maxSeedBytes)
	}
	return bytes.TrimRight(b, " \t\r\n\x00"), nil
}

// resetMark says which reset file was obeyed. A card's boot partition is not written for it: a
// power cut there could cost more than the owner's wish is worth.
type resetMark struct {
	Format  int       `json:"format"`
	Written time.Time `json:"written"` // as the file system has it, to 2 s
	Size    int64     `json:"size"`
}

// Reset restores the factory configuration, the image's defaults and the seed, if the folder boot
// has a reset file that was not obeyed before; what is in it does not matter. The seed is taken after
// it, by TakeSeed. The other slot's settings go, too, and what was left behind; events stay.
//
// The mark comes last: after a power cut all is done again, and the owner has changed nothing
// in between.
func (s Store) Reset(boot string, n slot.Name) (done bool, err error) {
	info, err := os.Stat(filepath.Join(boot, card.ResetName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mark := resetMark{format, info.ModTime().UTC(), info.Size()}
	var last resetMark
	if _, err := readState(s.shared(resetName), &last); err != nil || last == mark {
		return false, err
	}
	for _, path := range []string{
		s.path(n, goodName), s.path(n, seedName), s.path(n, fileName), s.path(n.Other(), ""), s.shared(leftBehindName),
	} {
		if err := remove(path); err != nil {
			return false, err
		}
	}
	return true, writeState(s.shared(resetName), mark)
}
