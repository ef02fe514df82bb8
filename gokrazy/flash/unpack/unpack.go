// Package unpack unpacks an image that was packed with xz.
//
// It runs on the owner's machine, and the file may be a stranger's or cut short: sizes and memory have
// limits, which are looked at before anything is unpacked, and each block's checksum is compared. Blocks
// are unpacked by several goroutines, which XZ waits for; it owns nothing else. Zeros are not written:
// the target must be a file that has been emptied. Sizes are in bytes.
//
// Source: the .xz file format 1.2.1 (tukaani.org/xz).
package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/ulikunitz/xz"
)

// Refusals of XZ.
var (
	ErrDamaged  = errors.New("the packed image is damaged or was cut short: download it again")
	ErrTooLarge = errors.New("unpacks to more than an image has")
	ErrMemory   = errors.New("unpacking it takes too much memory")
	ErrNoSum    = errors.New("it was packed without checksums, so damage would not be noticed: pack it with plain xz")
)

const (
	// maxDictionary is what xz -9 uses, the most of its presets.
	maxDictionary = 64 << 20
	// maxWorkers bounds the memory: each has a dictionary.
	maxWorkers = 4
	// chunk is unpacked at once.
	chunk = 256 << 10
	// maxSmallBlock: a packed block up to this size is compared with one that is known to hold zeros.
	maxSmallBlock = 64 << 10
)

// IsXZ says whether a file begins as one that xz has packed.
func IsXZ(r io.ReaderAt) bool {
	var b [len(headerMagic)]byte
	_, err := r.ReadAt(b[:], 0)
	return err == nil && string(b[:]) == headerMagic
}

// XZ unpacks the size bytes of r into to and gives the size of the image, which is at most limit.
// progress, which may be nil, is called by one goroutine at a time.
func XZ(ctx context.Context, r io.ReaderAt, size int64, to io.WriterAt, limit int64,
	progress func(done, total int64)) (int64, error) {
	x, err := readIndex(r, size, limit)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u := unpacker{from: r, to: to, index: x, progress: progress}
	blocks := make(chan block)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxWorkers, max(len(x.blocks), 1)) {
		workers.Go(func() {
			for b := range blocks {
				if err := u.unpack(ctx, b); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, b := range x.blocks {
		if ctx.Err() != nil {
			break
		}
		blocks <- b
	}
	close(blocks)
	workers.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return x.total, nil
}

// An unpacker is what the workers share.
type unpacker struct {
	from     io.ReaderAt
	to       io.WriterAt
	index    index
	progress func(done, total int64)

	mu    sync.Mutex // held while progress is called, which so sees numbers that rise
	done  int64
	zeros []byte // a packed block that unpacks to zeros alone
	plain int64  // to so many
}

// unpack does one block. Most of an image's blocks are zeros, packed into the same few bytes: one of them
// is unpacked for all.
func (u *unpacker) unpack(ctx context.Context, b block) error {
	packed := io.Reader(io.NewSectionReader(u.from, b.at, b.packed))
	var small []byte
	if b.packed <= maxSmallBlock {
		small = make([]byte, b.packed)
		if _, err := io.ReadFull(packed, small); err != nil {
			return fmt.Errorf("read at %d: %w", b.at, err)
		}
		if u.isZeros(small, b.size) {
			u.report(b.size)
			return nil
		}
		packed = bytes.NewReader(small)
	}
	zeros, err := u.write(ctx, b, packed)
	if err != nil {
		return err
	}
	if zeros && small != nil {
		u.mu.Lock()
		u.zeros, u.plain = small, b.size
		u.mu.Unlock()
	}
	return nil
}

// write unpacks a block of its own stream and says whether it holds zeros alone.
func (u *unpacker) write(ctx context.Context, b block, packed io.Reader) (zeros bool, err error) {
	head, tail := u.index.around(b)
	stream := io.MultiReader(bytes.NewReader(head), packed, bytes.NewReader(tail))
	reader, err := xz.ReaderConfig{SingleStream: true}.NewReader(stream)
	if err != nil {
		return false, fmt.Errorf("%w: block at %d: %w", ErrDamaged, b.at, err)
	}
	zeros = true
	buf := make([]byte, chunk)
	for at := int64(0); at < b.size; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		part := buf[:min(chunk, b.size-at)]
		if _, err := io.ReadFull(reader, part); err != nil {
			return false, fmt.Errorf("%w: block at %d: %w", ErrDamaged, b.at, err)
		}
		if !IsZero(part) {
			zeros = false
			if _, err := u.to.WriteAt(part, b.plainAt+at); err != nil {
				return false, fmt.Errorf("write the unpacked image: %w", err)
			}
		}
		at += int64(len(part))
		u.report(int64(len(part)))
	}
	// The end has the checksum.
	n, err := io.ReadFull(reader, buf[:1])
	if n != 0 {
		return false, fmt.Errorf("%w: block at %d: more than %d bytes", ErrDamaged, b.at, b.size)
	}
	if !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%w: block at %d: checksum: %w", ErrDamaged, b.at, err)
	}
	return zeros, nil
}

func (u *unpacker) isZeros(packed []byte, size int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.plain == size && bytes.Equal(u.zeros, packed)
}

func (u *unpacker) report(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done += n
	if u.progress != nil {
		u.progress(u.done, u.index.total)
	}
}

// IsZero says whether b has nothing but zeros.
func IsZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
