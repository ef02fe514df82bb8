// What an image holds: read once, before anything is done to a card. So an image that cannot be read costs
// no card, and many cards take one look.

package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/gokrazy/flash/unpack"
)

// contents are those of an image.
type contents struct {
	first []byte    // block, which has the partition table
	data  []run     // units behind it that are not zero
	sum   []byte    // SHA-256 of all
	at    time.Time // when the file was changed last
}

// A run is so many bytes of an image.
type run struct{ at, size int64 }

func (r run) end() int64 { return r.at + r.size }

// joined adds a run, to the last one if it goes on with it.
func joined(runs []run, next run) []run {
	if n := len(runs); n > 0 && runs[n-1].end() == next.at {
		runs[n-1].size += next.size
		return runs
	}
	return append(runs, next)
}

// SHA256 is that of the unpacked image.
func (i *Image) SHA256(ctx context.Context, progress func(step string, done, total int64)) (string, error) {
	c, err := i.read(ctx, Job{Progress: progress})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(c.sum), nil
}

// read reads all of the image, unless it has been read and has not been changed since.
func (i *Image) read(ctx context.Context, job Job) (*contents, error) {
	info, err := i.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.Path, err)
	}
	if i.contents != nil && i.contents.at.Equal(info.ModTime()) {
		return i.contents, nil
	}
	c := &contents{at: info.ModTime()}
	sum := sha256.New()
	err = readBlocks(ctx, i, i.Size, func(b []byte, at int64) error {
		sum.Write(b)
		for from := 0; from < len(b) && at > 0; from += unit {
			if part := b[from:min(from+unit, len(b))]; !unpack.IsZero(part) {
				c.data = joined(c.data, run{at + int64(from), int64(len(part))})
			}
		}
		if at == 0 {
			c.first = bytes.Clone(b)
		}
		job.reportProgress("checking the image", at+int64(len(b)), i.Size)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.Path, err)
	}
	c.sum = sum.Sum(nil)
	i.contents = c
	return c, nil
}
