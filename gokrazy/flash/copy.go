// What of an image is written to a card: all that is not zero, and zeros where the card has something else.

package flash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/krazycam/krazycam/gokrazy/flash/drive"
	"github.com/krazycam/krazycam/gokrazy/flash/unpack"
)

const (
	// unit is the least that is left out: an image of 66 MiB data has 69 MiB of units, and 97 of blocks.
	unit = 64 << 10
	// discardAtOnce bounds how long Ctrl-C waits.
	discardAtOnce = 256 * mib
)

// discardAll tells a card that nothing on it is needed, as far as the image reaches. all says that the card
// took it for all of that, and begun for some: what was there may be gone. Then most cards read as zeros,
// others as ones, and some as before: it is looked at later.
func discardAll(ctx context.Context, job Job, target drive.Target) (all, begun bool, err error) {
	if job.All {
		return false, false, nil
	}
	size := job.Image.Size
	for at := int64(0); at < size; at += discardAtOnce {
		if err := ctx.Err(); err != nil {
			return false, begun, err
		}
		// Readers claim what their card then refuses; without it the card is read instead.
		if err := target.Discard(at, min(discardAtOnce, size-at)); err != nil {
			return false, begun, nil
		}
		begun = true
	}
	return true, begun, target.DropCache()
}

// A plan is what to write.
type plan struct {
	first []byte // block of the image
	dirty bool   // the card has something in its place
	runs  []run  // behind it
	bytes int64  // of all of them
	sum   []byte // SHA-256 of the image
}

// planFor looks at the card where the image has zeros.
func planFor(ctx context.Context, job Job, image *contents, target io.ReaderAt, discarded bool) (*plan, error) {
	p := &plan{first: image.first, sum: image.sum}
	p.countFirst(target)
	data, size := image.data, job.Image.Size
	for at := int64(blockSize); at < size; at += blockSize {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		blank := blankness{target: target, never: job.All, sample: discarded}
		end := min(at+blockSize, size)
		for where := at; where < end; where += unit {
			for len(data) > 0 && data[0].end() <= where {
				data = data[1:]
			}
			length := min(unit, end-where)
			if len(data) > 0 && data[0].at <= where || !blank.is(where, int(length)) {
				p.add(where, length)
			}
		}
		job.reportProgress("looking", end, size)
	}
	return p, nil
}

func (p *plan) add(at, size int64) {
	p.bytes += size
	p.runs = joined(p.runs, run{at, size})
}

// blankness looks at a block of a card: has it zeros where the image has? A block with anything else is
// written from there on without more looking, which would take as long as writing.
type blankness struct {
	target io.ReaderAt
	never  bool
	sample bool // the first look counts for the whole block
	looked bool
	buf    []byte
}

func (l *blankness) is(at int64, size int) bool {
	if l.never || l.sample && l.looked {
		return !l.never
	}
	l.looked = true
	if l.buf == nil {
		l.buf = make([]byte, unit)
	}
	b := l.buf[:size]
	// What a card cannot read it may be able to write.
	_, err := l.target.ReadAt(b, at)
	l.never = err != nil || !unpack.IsZero(b)
	return !l.never
}

// countFirst counts the first block, which is blanked first unless it is blank.
func (p *plan) countFirst(target io.ReaderAt) {
	old := make([]byte, len(p.first))
	_, err := target.ReadAt(old, 0)
	if p.dirty = err != nil || !unpack.IsZero(old); p.dirty {
		p.bytes += int64(len(p.first))
	}
	for at := 0; at < len(p.first); at += unit {
		if part := p.first[at:min(at+unit, len(p.first))]; !unpack.IsZero(part) {
			p.bytes += int64(len(part))
		}
	}
}

// write puts the plan onto the card. The first block, which holds the partition table, is blank until all
// others are on the card, the second table at its end included: no board boots, and no computer shows,
// half an image.
func (p *plan) write(ctx context.Context, job Job, target drive.Target, table *cardTable) error {
	if p.dirty {
		_, err := target.WriteAt(make([]byte, len(p.first)), 0)
		if err := errors.Join(err, target.Sync()); err != nil {
			return fmt.Errorf("blank the partition table: %w", err)
		}
	}
	if err := p.writeRuns(ctx, job, target); err != nil {
		return err
	}
	first := bytes.Clone(p.first)
	if err := table.write(target, first); err != nil {
		return fmt.Errorf("at the end of the card: %w", err)
	}
	if err := target.Sync(); err != nil {
		return fmt.Errorf("after writing: %w", err)
	}
	if err := writeFirst(target, first); err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	job.reportProgress("writing", p.bytes, p.bytes)
	return nil
}

// writeFirst writes the first block, which is blank on the card, and in the end its table.
func writeFirst(target drive.Target, first []byte) error {
	for at := (len(first) - 1) / unit * unit; at >= 0; at -= unit {
		part := first[at:min(at+unit, len(first))]
		if unpack.IsZero(part) {
			continue
		}
		if at == 0 {
			if err := target.Sync(); err != nil {
				return err
			}
		}
		if _, err := target.WriteAt(part, int64(at)); err != nil {
			return err
		}
	}
	return target.Sync()
}

func (p *plan) writeRuns(ctx context.Context, job Job, target drive.Target) error {
	buf := make([]byte, blockSize)
	done, synced := int64(0), int64(0)
	if p.dirty {
		done = int64(len(p.first))
	}
	job.reportProgress("writing", done, p.bytes)
	for _, r := range p.runs {
		for end := r.at + r.size; r.at < end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(blockSize-r.at%blockSize, end-r.at)] // ends with a block of the card
			if _, err := job.Image.ReadAt(b, r.at); err != nil {
				return fmt.Errorf("read %d bytes at %d: %w", len(b), r.at, err)
			}
			if _, err := target.WriteAt(b, r.at); err != nil {
				return fmt.Errorf("write %d bytes at %d: %w", len(b), r.at, err)
			}
			r.at += int64(len(b))
			done += int64(len(b))
			if done-synced >= syncEvery {
				if err := target.Sync(); err != nil {
					return fmt.Errorf("write up to %d: %w", r.at, err)
				}
				synced = done
			}
			job.reportProgress("writing", done, p.bytes)
		}
	}
	return nil
}
