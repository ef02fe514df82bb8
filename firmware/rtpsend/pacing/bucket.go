// A token bucket: how many bytes may leave now.

package pacing

import "time"

// A Bucket fills at a rate, in bytes a second, up to its depth in bytes. Its zero value lets
// nothing pass.
type Bucket struct {
	rate, depth float64
	level       float64
	at          time.Duration // when level was right
}

// NewBucket is full at the start.
func NewBucket(rate, depth float64) Bucket {
	return Bucket{rate: rate, depth: depth, level: depth}
}

// SetRate makes it fill at another rate from now on.
func (b *Bucket) SetRate(now time.Duration, rate float64) {
	b.updateLevel(now)
	b.rate = rate
}

// updateLevel adds what came since the last time.
func (b *Bucket) updateLevel(now time.Duration) {
	if now > b.at {
		b.level = min(b.depth, b.level+b.rate*(now-b.at).Seconds())
	}
	b.at = now
}

// TakeBytes spends size bytes if they are there.
func (b *Bucket) TakeBytes(now time.Duration, size int) bool {
	b.updateLevel(now)
	if b.level < float64(size) {
		return false
	}
	b.level -= float64(size)
	return true
}

// TakeSpareBytes spends size bytes if they are there and at least that share of the depth was.
func (b *Bucket) TakeSpareBytes(now time.Duration, size int, share float64) bool {
	b.updateLevel(now)
	return b.level >= share*b.depth && b.TakeBytes(now, size)
}
