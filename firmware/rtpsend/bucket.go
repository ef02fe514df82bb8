// A token bucket: how many bytes may leave now. Pure: time is passed in.

package rtpsend

import "time"

// A bucket fills at rate, in bytes a second, up to depth bytes. Its zero value lets
// nothing pass.
type bucket struct {
	rate, depth float64
	level       float64
	at          time.Duration // when level was right
}

// fullBucket starts with all that fits into it.
func fullBucket(rate, depth float64) bucket {
	return bucket{rate: rate, depth: depth, level: depth}
}

// fill adds what came since the last time.
func (b *bucket) fill(now time.Duration) {
	if now > b.at {
		b.level = min(b.depth, b.level+b.rate*(now-b.at).Seconds())
	}
	b.at = now
}

// take spends size bytes if they are there.
func (b *bucket) take(now time.Duration, size int) bool {
	b.fill(now)
	if b.level < float64(size) {
		return false
	}
	b.level -= float64(size)
	return true
}
