// Package flash writes an image and a seed to a card.
//
// It runs on the owner's machine. Everything that can be refused is refused before
// the first byte, and what was written is read back: worn cards lie. It owns the files
// that it opens, and closes them. Sizes are in bytes. Tests flash into a file, so
// neither a card nor root is needed.
package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// Refusals of Card.
var (
	ErrTooSmall     = errors.New("card is smaller than the image")
	ErrInUse        = errors.New("card is in use")
	ErrNotRemovable = errors.New("not a removable card")
	ErrNotACard     = errors.New("neither a card nor a file")
	ErrReadBack     = errors.New("card does not give back what was written to it")
)

// errUnfinished says what an error in the middle, Ctrl-C included, leaves behind.
var errUnfinished = errors.New("the card is not usable now: flash it again")

const (
	mib = 1 << 20
	// blockSize is what is written at once: a multiple of the erase blocks of cards.
	blockSize = 4 * mib
	// syncEvery bounds what waits in memory: without it all of the image would, the
	// progress would be the memory's, and Ctrl-C would wait minutes for the card.
	syncEvery = 8 * blockSize
)

// A Job says what to write and where.
type Job struct {
	Image    string
	Target   string // block device or existing file
	Seed     []byte // nil: the image's own
	Sure     bool   // write even to a disk that is built in
	Progress func(step string, done, total int64)
}

// A Result says what was written.
type Result struct {
	Target string `json:"target"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the image, as read back from the card
	Perm   int64  `json:"perm"`   // bytes of the partition /perm
	Seed   bool   `json:"seed"`
}

// Card writes an image, with a partition table that gives /perm the rest of the card, and then the
// seed. It blocks until the card has it all.
func Card(ctx context.Context, job Job) (done Result, err error) {
	image, size, err := openfile.Disk(job.Image, os.O_RDONLY)
	if err != nil {
		return Result{}, err
	}
	defer image.Close()
	if err := card.CheckSeed(image, size, job.Seed); err != nil {
		return Result{}, fmt.Errorf("%s: %w", job.Image, err)
	}
	if err := checkTarget(job, image); err != nil {
		return Result{}, err
	}
	target, room, err := openfile.Disk(job.Target, os.O_RDWR|exclusive)
	if errors.Is(err, syscall.EBUSY) {
		err = fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if room < size {
		return Result{}, fmt.Errorf("%w: %s has %d bytes, %s has %d", ErrTooSmall, job.Target, room, job.Image,
			size)
	}
	room &^= disk.SectorSize - 1 // a file may end anywhere
	table, err := tableFor(image, size, room)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", job.Image, err)
	}
	sum, err := copyAndCompare(ctx, job, target, image, size, table)
	if err == nil {
		err = table.compare(target, room)
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", job.Target, err)
	}
	done = Result{Target: job.Target, Bytes: size, SHA256: sum, Perm: table.permSize()}
	if job.Seed != nil {
		if err := seedAndCompare(target, room, job.Seed); err != nil {
			return Result{}, fmt.Errorf("%s: seed: %w", job.Target, err)
		}
		done.Seed = true
	}
	return done, nil
}

// copyAndCompare writes, waits until the card has it, forgets the machine's own
// copy and reads the card.
func copyAndCompare(ctx context.Context, job Job, target *os.File, image io.ReaderAt, size int64,
	table *cardTable) (string, error) {
	written, err := copyImage(ctx, job, target, image, size, table)
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, errUnfinished)
	}
	if err := dropCache(target); err != nil {
		return "", fmt.Errorf("before reading back: %w", err)
	}
	read := sha256.New()
	err = readBlocks(ctx, target, size, func(b []byte, at int64) error {
		if at == 0 {
			if err := table.asImage(b); err != nil {
				return err
			}
		}
		read.Write(b)
		job.reportProgress("reading back", at+int64(len(b)), size)
		return nil
	})
	if errors.Is(err, ErrReadBack) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, errUnfinished)
	}
	if !bytes.Equal(written, read.Sum(nil)) {
		return "", fmt.Errorf("%w: sha256 %x, the image's is %x: take another card", ErrReadBack, read.Sum(nil),
			written)
	}
	return hex.EncodeToString(written), nil
}

// copyImage writes the image and gives its SHA-256. The first block, which holds
// the partition table, is blank until all others are on the card, the second table at its end
// included: no board boots, and no computer shows, half an image.
func copyImage(ctx context.Context, job Job, target *os.File, image io.ReaderAt, size int64,
	table *cardTable) ([]byte, error) {
	sum := sha256.New()
	var first []byte
	err := readBlocks(ctx, image, size, func(b []byte, at int64) error {
		sum.Write(b)
		if at == 0 {
			first = bytes.Clone(b)
			clear(b)
		}
		if _, err := target.WriteAt(b, at); err != nil {
			return fmt.Errorf("write %d bytes at %d: %w", len(b), at, err)
		}
		if at%syncEvery == 0 {
			if err := target.Sync(); err != nil {
				return fmt.Errorf("write up to %d: %w", at, err)
			}
		}
		job.reportProgress("writing", at+int64(len(b)), size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := table.write(target, first); err != nil {
		return nil, fmt.Errorf("at the end of the card: %w", err)
	}
	if err := target.Sync(); err != nil {
		return nil, fmt.Errorf("after writing: %w", err)
	}
	if _, err := target.WriteAt(first, 0); err != nil {
		return nil, fmt.Errorf("write the partition table: %w", err)
	}
	if err := target.Sync(); err != nil {
		return nil, fmt.Errorf("write the partition table: %w", err)
	}
	return sum.Sum(nil), nil
}

// seedAndCompare writes the seed and reads it back from the card.
func seedAndCompare(target *os.File, room int64, seed []byte) error {
	if err := card.PutSeed(target, room, seed); err != nil {
		return err
	}
	if err := errors.Join(target.Sync(), dropCache(target)); err != nil {
		return err
	}
	return compareSeed(target, room, seed)
}

func compareSeed(target io.ReaderAt, room int64, seed []byte) error {
	boot, _, err := card.OpenBoot(target, room)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	b, err := card.ReadFile(boot, card.SeedName, config.MaxBytes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadBack, err)
	}
	if !bytes.Equal(b, card.PaddedSeed(seed, len(b))) {
		return fmt.Errorf("%w: take another card", ErrReadBack)
	}
	return nil
}

// readBlocks reads size bytes in order; use may change the bytes, but not keep them.
func readBlocks(ctx context.Context, r io.ReaderAt, size int64, use func(b []byte, at int64) error) error {
	block := make([]byte, blockSize)
	for at := int64(0); at < size; at += blockSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := block[:min(blockSize, size-at)]
		if _, err := r.ReadAt(b, at); err != nil {
			return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
		}
		if err := use(b, at); err != nil {
			return err
		}
	}
	return nil
}

func (j Job) reportProgress(step string, done, total int64) {
	if j.Progress != nil {
		j.Progress(step, done, total)
	}
}

// checkTarget refuses the image itself, and a device that is mounted, holds the
// image, or is part of this machine.
func checkTarget(job Job, image *os.File) error {
	info, err := os.Stat(job.Target)
	if err != nil {
		return err
	}
	own, err := image.Stat()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case os.SameFile(info, own):
		return fmt.Errorf("%w: %s is the image itself", ErrInUse, job.Target)
	case mode.IsRegular():
		return nil
	case mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
		return checkDevice(job)
	}
	return fmt.Errorf("%w: %s", ErrNotACard, job.Target)
}
