// Limits of customers and of the disk, and the goroutine that keeps them.

package webm

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// Limits are a customer's. 0 is the Library's default, which is no limit unless it is set; a negative
// value records nothing, and leaves what is there.
type Limits struct {
	Bytes int64         // of all files
	Age   time.Duration // since a file was last written
}

// recordsNothing says whether the limits forbid any recording.
func (m Limits) recordsNothing() bool { return m.Bytes < 0 || m.Age < 0 }

const (
	pruneInterval = 10 * time.Second // and when a file ends
	limitsKeep    = time.Minute      // until a customer's limits are asked for again
	limitsRetry   = 2 * time.Second  // after a question that failed
	limitsTimeout = 3 * time.Second  // less than a queue holds
)

// keepLimits removes what is beyond a limit, until ctx ends. It looks again soon while streams wait for a
// customer's limits.
func (l *Library) keepLimits(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		l.prune(ctx)
		next := pruneInterval
		if l.streamsWait() {
			next = limitsRetry
		}
		timer.Reset(next)
	}
}

// streamsWait says whether there are streams of a customer whose limits nobody knows.
func (l *Library) streamsWait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.customers {
		if !c.known && len(c.recorders) > 0 {
			return true
		}
	}
	return false
}

// limitsOf gives a customer's limits as they were last known. It asks for them if nobody has yet, or waits
// for whoever asks. known: they are the customer's own, or nobody has any.
func (l *Library) limitsOf(id int64) (limits Limits, known bool) {
	l.mu.Lock()
	c := l.customerOf(id)
	answered := c.answered
	l.mu.Unlock()
	if !answered {
		_ = l.askLimits(context.Background(), id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.config.Defaults
	return Limits{Bytes: cmp.Or(c.limits.Bytes, d.Bytes), Age: cmp.Or(c.limits.Age, d.Age)}, c.known
}

// askLimits asks for a customer's limits, unless that was a moment ago. Who comes meanwhile waits for the
// answer: without it, a customer who must not be recorded would be.
func (l *Library) askLimits(ctx context.Context, id int64) error {
	l.mu.Lock()
	c := l.customerOf(id)
	l.mu.Unlock()
	c.asking.Lock()
	defer c.asking.Unlock()
	l.mu.Lock()
	due := !c.answered || !l.config.Now().Before(c.askAt)
	l.mu.Unlock()
	if !due {
		return nil
	}
	limits, err := Limits{}, error(nil)
	if l.config.CustomerLimits != nil {
		ctx, cancel := context.WithTimeout(ctx, limitsTimeout)
		defer cancel()
		limits, err = l.config.CustomerLimits(ctx, id)
	}
	l.mu.Lock()
	failedBefore := c.failing
	c.answered, c.failing = true, err != nil
	if err == nil {
		c.limits, c.known, c.askAt = limits, true, l.config.Now().Add(limitsKeep)
	} else {
		c.askAt = l.config.Now().Add(limitsRetry)
	}
	l.mu.Unlock()
	switch {
	case err != nil && !failedBefore:
		l.config.Log.Warn("recordings: a customer's limits are not known", "customer", id, "error", err)
	case err == nil && failedBefore:
		l.config.Log.Info("recordings: a customer's limits are known again", "customer", id)
	}
	return err
}

// fileBytesMin keeps a small limit from making a file of each picture.
const fileBytesMin = 1 << 20

// fileBytes is how large a file of a customer may become: of a limit, the files that are being written
// take a quarter at most.
func (l *Library) fileBytes(id int64) int64 {
	limits, _ := l.limitsOf(id)
	if limits.Bytes <= 0 {
		return l.config.FileBytes
	}
	l.mu.Lock()
	n := len(l.customerOf(id).recorders)
	l.mu.Unlock()
	return min(l.config.FileBytes, max(fileBytesMin, limits.Bytes/4/int64(max(n, 1))))
}

// prune removes of each customer what is beyond its limits. A database that does not answer is asked once.
func (l *Library) prune(ctx context.Context) {
	l.mu.Lock()
	ids := slices.Collect(maps.Keys(l.customers))
	l.mu.Unlock()
	var err error
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = l.askLimits(ctx, id)
		}
		l.mu.Lock()
		known := l.customerOf(id).known
		l.mu.Unlock()
		if !known {
			continue
		}
		limits, _ := l.limitsOf(id)
		l.pruneCustomer(id, limits)
	}
}

// A finished file is an entry and where it lies.
type finished struct {
	entry
	folder string
}

func (l *Library) pruneCustomer(id int64, limits Limits) {
	oldest := l.config.Now().Add(-limits.Age).UnixMilli()
	if l.isWithin(id, limits, oldest) {
		return
	}
	list, total := l.finishedOf(id)
	if limits.Bytes > 0 && total > limits.Bytes {
		l.forgetMissing(id, list)
		list, total = l.finishedOf(id)
	}
	removed, failed, freed := 0, 0, int64(0)
	for _, f := range list {
		tooOld := limits.Age > 0 && f.end < oldest
		tooMuch := limits.Bytes > 0 && total > limits.Bytes
		if !tooOld && !tooMuch {
			continue
		}
		if err := l.removeFile(id, f.folder, f.start); err != nil {
			failed++
			l.config.Log.Error("recordings: a file beyond the limits stays", "customer", id, "error", err)
			continue
		}
		removed++
		freed += f.size
		total -= f.size
	}
	if removed > 0 {
		l.config.Log.Info("recordings: removed by the customer's limits", "customer", id, "files", removed,
			"bytes", freed, "failed", failed)
	}
}

// isWithin says whether nothing is to be removed, without a list of what may be a million files.
func (l *Library) isWithin(id int64, limits Limits, oldest int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, total := l.customerOf(id), int64(0)
	for _, files := range c.sources {
		for _, e := range files {
			if limits.Age > 0 && e.end < oldest {
				return false
			}
			total += e.size
		}
	}
	for r := range c.recorders {
		total += r.bytes.Load()
	}
	return limits.Bytes <= 0 || total <= limits.Bytes
}

// finishedOf lists a customer's finished files, oldest first, and sums up all bytes.
func (l *Library) finishedOf(id int64) (list []finished, total int64) {
	l.mu.Lock()
	c := l.customerOf(id)
	for folder, files := range c.sources {
		for _, e := range files {
			list = append(list, finished{e, folder})
			total += e.size
		}
	}
	for r := range c.recorders {
		total += r.bytes.Load()
	}
	l.mu.Unlock()
	slices.SortFunc(list, func(a, b finished) int { return cmp.Compare(a.start, b.start) })
	return list, total
}

// forgetMissing forgets files that somebody removed by hand: else others would go in their place.
func (l *Library) forgetMissing(id int64, list []finished) {
	for _, f := range list {
		if _, err := os.Lstat(l.path(id, f.folder, f.start)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		l.mu.Lock()
		c := l.customerOf(id)
		c.sources[f.folder] = removeEntry(c.sources[f.folder], f.start)
		l.mu.Unlock()
	}
}
