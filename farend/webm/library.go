// The folder of recordings: what is there, and who writes.

package webm

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/lock"
)

// Config is what a Library works with. Dir is required; a zero value of the rest stands for its default.
type Config struct {
	Dir string
	App string // program and version, for the files
	Log *slog.Logger
	Now func() time.Time

	// A file ends with the next key frame once it is that long or large.
	FileLength time.Duration // default 1 h
	FileBytes  int64         // default 1 GiB

	// Defaults are the limits of customers who have none of their own.
	Defaults Limits

	// CustomerLimits gives a customer's own limits; nil: there are none. It may ask a database, and is
	// called by several goroutines. While it fails, what it said last counts; of a customer that it said
	// nothing of, nothing is recorded and nothing removed.
	CustomerLimits func(ctx context.Context, customer int64) (Limits, error)

	// Nothing is recorded while less than any of the two is free on the disk.
	FreeBytes int64   // default 1 GiB; negative: no limit
	FreeShare float64 // of the disk's size; default 0.02; negative: no limit

	// Disk says how large the disk is that holds a folder, and how much of it this process may fill.
	Disk func(dir string) (free, size int64, err error) // default: what the system says
}

const (
	defaultFileLength = time.Hour
	defaultFileBytes  = 1 << 30
	defaultFreeBytes  = 1 << 30
	defaultFreeShare  = 0.02
)

func (c Config) withDefaults() Config {
	c.FileLength = cmp.Or(c.FileLength, defaultFileLength)
	c.FileBytes = cmp.Or(c.FileBytes, defaultFileBytes)
	c.FreeBytes = cmp.Or(c.FreeBytes, defaultFreeBytes)
	c.FreeShare = cmp.Or(c.FreeShare, defaultFreeShare)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Disk == nil {
		c.Disk = diskOf
	}
	return c
}

// A Library is a folder of recordings and all that writes into it. It is safe for use by several
// goroutines.
type Library struct {
	config  Config
	unlock  func()
	space   space
	stop    context.CancelFunc
	wake    chan struct{}  // a file ended: limits are to be looked at
	running sync.WaitGroup // keepLimits, watchSpace, and the writer of each recorder

	// mu guards all below. A Recorder's own lock may be taken under it, and it under a customer's asking,
	// not the reverse.
	mu        sync.Mutex
	closed    bool
	customers map[int64]*customer
}

// A customer is what is known of one.
type customer struct {
	sources   map[string][]entry // finished files, by folder; oldest first
	recorders map[*Recorder]struct{}

	limits   Limits
	known    bool      // limits are the customer's
	answered bool      // somebody asked for them, and had an answer or an error
	failing  bool      // the last question failed
	askAt    time.Time // when they are due to be asked for again

	asking sync.Mutex // held while somebody asks for the limits; taken before mu
}

// Open makes the folder unless it is there, looks at what it holds and begins to keep its limits, until
// Close. One process at a time has a folder: lock.ErrHeld.
func Open(c Config) (*Library, error) {
	l := &Library{config: c.withDefaults(), customers: map[int64]*customer{}, wake: make(chan struct{}, 1)}
	err := os.MkdirAll(c.Dir, 0o700)
	if err == nil {
		l.unlock, err = lock.Folder(c.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("recordings in %s: %w", c.Dir, err)
	}
	if err := l.scan(); err != nil {
		l.unlock()
		return nil, fmt.Errorf("recordings in %s: %w", c.Dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.space.check(l.config)
	l.running.Go(func() { l.keepLimits(ctx) })
	l.running.Go(func() { l.watchSpace(ctx) })
	return l, nil
}

// Close ends all recorders, waits until what they were given is written, and gives the folder back. An
// error is that of ctx: the disk did not answer in time.
func (l *Library) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	for _, c := range l.customers {
		for r := range c.recorders {
			r.Close()
		}
	}
	l.mu.Unlock()
	l.stop()
	ended := make(chan struct{})
	go func() { // ends when the disk answers
		l.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		l.unlock()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("recordings in %s: not all was written: %w", l.config.Dir, ctx.Err())
	}
}

// scan looks at the whole folder. What is not named like a recording is somebody else's.
func (l *Library) scan() error {
	folders, err := os.ReadDir(l.config.Dir)
	if err != nil {
		return err
	}
	for _, d := range folders {
		id, err := strconv.ParseInt(d.Name(), 10, 64)
		if err != nil || !d.IsDir() || strconv.FormatInt(id, 10) != d.Name() {
			continue
		}
		sources, err := os.ReadDir(l.customerPath(id))
		if err != nil {
			return err
		}
		for _, s := range sources {
			if !s.IsDir() {
				continue
			}
			files, err := scanSource(filepath.Join(l.customerPath(id), s.Name()))
			if err != nil {
				return err
			}
			l.customerOf(id).sources[s.Name()] = files
		}
	}
	return nil
}

func (l *Library) customerPath(id int64) string {
	return filepath.Join(l.config.Dir, strconv.FormatInt(id, 10))
}

func (l *Library) path(customer int64, folder string, start int64) string {
	return filepath.Join(l.customerPath(customer), folder, nameOf(start))
}

// customerOf is for whoever holds mu.
func (l *Library) customerOf(id int64) *customer {
	c := l.customers[id]
	if c == nil {
		c = &customer{sources: map[string][]entry{}, recorders: map[*Recorder]struct{}{}}
		l.customers[id] = c
	}
	return c
}

// addFile notes that a recorder's file ended.
func (l *Library) addFile(r *Recorder, e entry) {
	l.mu.Lock()
	c := l.customerOf(r.source.Customer)
	c.sources[r.folder] = insertEntry(c.sources[r.folder], e)
	r.setFile("", 0)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
