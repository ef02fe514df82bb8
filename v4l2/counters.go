// What became of the buffers: counted by cause, readable while Next waits.

package v4l2

import (
	"log/slog"
	"sync/atomic"
)

// Counters says what became of the pictures of a source since it was opened.
type Counters struct {
	Delivered uint64 `json:"delivered"` // handed to use
	Older     uint64 `json:"older"`     // good, but a newer one was there already, or was delivered before
	Stale     uint64 `json:"stale"`     // good, but older than two intervals after a stall
	Damaged   uint64 `json:"damaged"`   // the driver's error flag
	Short     uint64 `json:"short"`     // fewer bytes than the layout needs
	Empty     uint64 `json:"empty"`     // no bytes at all
	Truncated uint64 `json:"truncated"` // a JPEG without start or end marker
	Resized   uint64 `json:"resized"`   // a JPEG of another size than was agreed on
	Missing   uint64 `json:"missing"`   // never seen: gaps in the sequence numbers
	Future    uint64 `json:"future"`    // delivered, its time stamp clamped to now
}

// Dropped is how many buffers came and were not delivered.
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

func (c *counters) add(why cause) { c[why].Add(1) }

func (c *counters) read() Counters {
	var all Counters
	for why, field := range all.fields() {
		*field = c[why].Load()
	}
	return all
}

// names are the causes in a log, and fields where they are counted.
var names = [causes]string{"delivered", "older", "stale", "damaged", "short", "empty", "truncated", "resized", "missing", "future"}

func (c *Counters) fields() [causes]*uint64 {
	return [causes]*uint64{&c.Delivered, &c.Older, &c.Stale, &c.Damaged, &c.Short, &c.Empty, &c.Truncated, &c.Resized, &c.Missing, &c.Future}
}

// Plus adds what another camera, or this one after it was opened again, counted.
func (c Counters) Plus(other Counters) Counters {
	more := other.fields()
	for why, field := range c.fields() {
		*field += *more[why]
	}
	return c
}

// Since is what was counted after earlier.
func (c Counters) Since(earlier Counters) Counters {
	less := earlier.fields()
	for why, field := range c.fields() {
		*field -= *less[why]
	}
	return c
}

// LogValue is what is not 0, by name.
func (c Counters) LogValue() slog.Value {
	var some []slog.Attr
	for why, field := range c.fields() {
		if *field > 0 {
			some = append(some, slog.Uint64(names[why], *field))
		}
	}
	return slog.GroupValue(some...)
}

// largestGap is the most sequence numbers that count as missing: more is a driver
// that began to count anew.
const largestGap = 1 << 16

// sequence finds gaps in sequence numbers, which wrap at 2^32.
type sequence struct {
	last uint32
	seen bool
}

// overtaken tells whether n is one that a later one came before: seen under load
// with 1280x720 MJPG, since uvcvideo copies the buffers in parallel. More than the
// buffers there are behind, it is a driver that began to count anew.
func (s *sequence) overtaken(n uint32) bool {
	behind := s.last - n
	return s.seen && behind > 0 && behind < bufferCount
}

// missed takes the next number and says how many were left out before it.
func (s *sequence) missed(n uint32) uint32 {
	gap := n - s.last - 1
	if !s.seen || gap > largestGap {
		gap = 0
	}
	s.last, s.seen = n, true
	return gap
}
