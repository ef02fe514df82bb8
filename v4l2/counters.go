// How many buffers were delivered and how many dropped, by cause; can be read while Next waits.

package v4l2

import (
	"log/slog"
	"sync/atomic"
)

// Counters counts the pictures of a source since it was opened, by what happened to them.
type Counters struct {
	Delivered uint64 `json:"delivered"` // handed to use
	Older     uint64 `json:"older"`     // good, but a newer one was ready, or was delivered before
	Stale     uint64 `json:"stale"`     // good, but older than two intervals after a stall
	Damaged   uint64 `json:"damaged"`   // the driver's error flag
	Short     uint64 `json:"short"`     // fewer bytes than the layout needs
	Empty     uint64 `json:"empty"`     // no bytes at all
	Truncated uint64 `json:"truncated"` // no JPEG, or one that ends in its header
	Resized   uint64 `json:"resized"`   // a JPEG of another size than the layout's
	Missing   uint64 `json:"missing"`   // never seen: gaps in the sequence numbers
	Future    uint64 `json:"future"`    // delivered, its time stamp reduced to now
}

// Dropped counts the buffers that came and were not delivered.
func (c Counters) Dropped() uint64 {
	return c.Older + c.Stale + c.Damaged + c.Short + c.Empty + c.Truncated + c.Resized
}

type cause int

const (
	delivered cause = iota
	older
	stale
	damaged
	short
	empty
	truncated
	resized
	missing
	future
	causes
)

type counters [causes]atomic.Uint64

func (c *counters) countBuffer(why cause) { c[why].Add(1) }

func (c *counters) snapshot() Counters {
	var all Counters
	for why, field := range all.causeFields() {
		*field = c[why].Load()
	}
	return all
}

// causeNames are the names of the causes in a log.
var causeNames = [causes]string{
	"delivered", "older", "stale", "damaged", "short", "empty", "truncated", "resized", "missing", "future",
}

// causeFields has the field that counts each cause.
func (c *Counters) causeFields() [causes]*uint64 {
	return [causes]*uint64{
		&c.Delivered, &c.Older, &c.Stale, &c.Damaged, &c.Short, &c.Empty, &c.Truncated, &c.Resized,
		&c.Missing, &c.Future,
	}
}

// Plus adds the counters of another camera, or of this one after it was opened again.
func (c Counters) Plus(other Counters) Counters {
	more := other.causeFields()
	for why, field := range c.causeFields() {
		*field += *more[why]
	}
	return c
}

// Since is what was counted after earlier.
func (c Counters) Since(earlier Counters) Counters {
	less := earlier.causeFields()
	for why, field := range c.causeFields() {
		*field -= *less[why]
	}
	return c
}

// LogValue has the counters that are not 0, by name.
func (c Counters) LogValue() slog.Value {
	var some []slog.Attr
	for why, field := range c.causeFields() {
		if *field > 0 {
			some = append(some, slog.Uint64(causeNames[why], *field))
		}
	}
	return slog.GroupValue(some...)
}

// maxSequenceGap is the maximum of sequence numbers that count as missing: a larger gap means
// that the driver began to count again from 0.
const maxSequenceGap = 1 << 16

// sequence finds gaps in sequence numbers, which wrap at 2^32.
type sequence struct {
	last uint32
	seen bool
}

// isOvertaken says whether a later number than n came before it: seen under load with 1280x720
// MJPG, since uvcvideo copies the buffers in parallel. A distance of more than all buffers
// means that the driver began to count again from 0.
func (s *sequence) isOvertaken(n uint32) bool {
	behind := s.last - n
	return s.seen && behind > 0 && behind < bufferCount
}

// countMissed takes the next number and returns how many were left out before it.
func (s *sequence) countMissed(n uint32) uint32 {
	gap := n - s.last - 1
	if !s.seen || gap > maxSequenceGap {
		gap = 0
	}
	s.last, s.seen = n, true
	return gap
}
