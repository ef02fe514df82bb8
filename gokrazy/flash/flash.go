// Package flash writes an image and a seed to a card.
//
// It runs on the owner's machine. Everything that can be refused is refused before
// the first byte, and what was written is read back: worn cards lie. Zeros are not
// written where the card has zeros already. Which drives there are is package drive's
// matter. An Image belongs to its caller; Card opens and closes the card. Sizes are in
// bytes. Tests flash into a file, so neither a card nor root is needed.
package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

// Refusals of Card, beside those of package drive.
var (
	ErrTooSmall = errors.New("card is smaller than the image")
	ErrReadBack = errors.New("card does not give back what was written to it")
)

// What an error in the middle, Ctrl-C included, leaves behind.
var (
	errUntouched  = errors.New("nothing was written")
	errUnfinished = errors.New("the card is not usable now: flash it again")
)

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
	Image    *Image
	Target   string // block device or existing file
	Seed     []byte // nil: the image's own
	Sure     bool   // write even to a disk that is built in
	All      bool   // write zeros, too, whatever the card has there
	Progress func(step string, done, total int64)
}

// A Result says what was written.
type Result struct {
	Target  string `json:"target"`
	Bytes   int64  `json:"bytes"`   // of the image
	Written int64  `json:"written"` // of these; the card had zeros in the place of the others
	SHA256  string `json:"sha256"`  // of the image, as read back from the card
	Perm    int64  `json:"perm"`    // bytes of the partition /perm
	Seed    bool   `json:"seed"`
}

// Check finds what Card would refuse, and writes nothing: before somebody is asked whether to go on.
func Check(job Job) error {
	if err := card.CheckSeed(job.Image, job.Image.Size, job.Seed); err != nil {
		return fmt.Errorf("%s: %w", job.Image.Path, err)
	}
	return drive.Check(job.Target, job.Image.source, job.Sure)
}

// Card writes an image, with a partition table that gives /perm the rest of the card, and then the
// seed. It blocks until the card has it all.
func Card(ctx context.Context, job Job) (done Result, err error) {
	if err := Check(job); err != nil {
		return Result{}, err
	}
	target, room, err := drive.Open(job.Target)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	size := job.Image.Size
	if room < size {
		return Result{}, fmt.Errorf("%w: %s has %d bytes, %s has %d", ErrTooSmall, job.Target, room,
			job.Image.Path, size)
	}
	room &^= disk.SectorSize - 1 // a file may end anywhere
	table, err := tableFor(job.Image, size, room)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", job.Image.Path, err)
	}
	sum, written, err := copyAndCompare(ctx, job, target, table)
	if err == nil {
		err = table.compare(target, room)
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", job.Target, err)
	}
	done = Result{Target: job.Target, Bytes: size, Written: written, SHA256: sum, Perm: table.permSize()}
	if job.Seed != nil {
		if err := seedAndCompare(target, room, job.Seed); err != nil {
			return Result{}, fmt.Errorf("%s: seed: %w", job.Target, err)
		}
		done.Seed = true
	}
	return done, nil
}

// copyAndCompare reads the image, writes, waits until the card has it, forgets the machine's own copy and
// reads the card. Where the card was discarded, only samples of it were read before; if it does not hold
// zeros everywhere after all, it is written once more, and then all of it is read first.
func copyAndCompare(ctx context.Context, job Job, target drive.Target, table *cardTable) (string, int64, error) {
	image, err := job.Image.read(ctx, job)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", err, errUntouched)
	}
	discarded, begun, err := discardAll(ctx, job, target)
	var p *plan
	if err == nil {
		p, err = planFor(ctx, job, image, target, discarded)
	}
	if err != nil {
		state := errUntouched
		if begun {
			state = errUnfinished
		}
		return "", 0, fmt.Errorf("%w: %w", err, state)
	}
	written, sum, err := p.copy(ctx, job, target, table, nil)
	if discarded && errors.Is(err, ErrReadBack) {
		var more int64
		p, err = planFor(ctx, job, image, target, false)
		more, sum, err = p.copy(ctx, job, target, table, err)
		written += more
	}
	return hex.EncodeToString(sum), written, err
}

// copy writes what is planned, if planning did not fail, and compares.
func (p *plan) copy(ctx context.Context, job Job, target drive.Target, table *cardTable, failed error) (int64,
	[]byte, error) {
	if failed == nil {
		failed = p.write(ctx, job, target, table)
	}
	if failed != nil {
		return p.bytes, nil, fmt.Errorf("%w: %w", failed, errUnfinished)
	}
	return p.bytes, p.sum, readBack(ctx, job, target, table, p.sum)
}

// readBack compares all of the image with what the card gives.
func readBack(ctx context.Context, job Job, target drive.Target, table *cardTable, want []byte) error {
	if err := target.DropCache(); err != nil {
		return fmt.Errorf("before reading back: %w", err)
	}
	read := sha256.New()
	size := job.Image.Size
	err := readBlocks(ctx, target, size, func(b []byte, at int64) error {
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
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUnfinished)
	}
	if !bytes.Equal(want, read.Sum(nil)) {
		return fmt.Errorf("%w: sha256 %x, the image's is %x: take another card", ErrReadBack, read.Sum(nil), want)
	}
	return nil
}

// seedAndCompare writes the seed and reads it back from the card.
func seedAndCompare(target drive.Target, room int64, seed []byte) error {
	if err := card.PutSeed(target, room, seed); err != nil {
		return err
	}
	if err := errors.Join(target.Sync(), target.DropCache()); err != nil {
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
