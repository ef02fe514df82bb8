// The ceiling against a plain sum over every span.

package pacing

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestCeilingHoldsOverAnySpanAndWastesLittle(t *testing.T) {
	const rate = 600_000
	type sent struct {
		at   time.Duration
		size int
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c, now := NewCeiling(rate), time.Duration(rng.Int64N(int64(time.Hour)))
		if seed%2 == 1 {
			now = time.Duration(seed) * 50 * time.Millisecond // the clock has just begun
		}
		var all []sent
		begin, total := now, 0
		for now < begin+20*time.Second {
			size := 40 + rng.IntN(1460)
			if wait := c.Wait(now, size); wait > 0 {
				if rng.IntN(2) == 0 { // the wait is exact to a slot
					if wait > ceilingSlot && c.Wait(now+wait-ceilingSlot, size) == 0 || c.Wait(now+wait, size) != 0 {
						t.Fatalf("seed %d: a wait of %v is not the least", seed, wait)
					}
				}
				now += wait
				continue
			}
			c.NoteSent(now, size)
			all, total = append(all, sent{now, size}), total+size
			now += time.Duration(rng.Int64N(int64(4 * time.Millisecond)))
		}
		for i := range all {
			sum := 0
			for _, s := range all[i:] {
				if s.at >= all[i].at+CeilingSpan {
					break
				}
				sum += s.size
			}
			if most := rate / 8 * 2 * 104 / 100; sum > most {
				t.Fatalf("seed %d: %d bytes in the 2 s from %v on, want at most %d", seed, sum, all[i].at, most)
			}
		}
		if mean := float64(8*total) / 20; mean < 0.99*rate {
			t.Errorf("seed %d: %.0f bit/s of what is always ready to leave, want %d", seed, mean, rate)
		}
	}
}

func TestCeilingLetsPassWhatIsLargerThanItAlone(t *testing.T) {
	c := NewCeiling(1000) // 260 bytes in 2 s
	now := time.Hour
	for range 3 {
		if wait := c.Wait(now, 1500); wait != 0 {
			t.Fatalf("a packet of 1500 bytes waits %v though nothing else left", wait)
		}
		c.NoteSent(now, 1500)
		wait := c.Wait(now, 1500)
		if wait < CeilingSpan || wait > CeilingSpan+ceilingSlot {
			t.Fatalf("the next one waits %v, want 2 s", wait)
		}
		now += wait
	}
}

func TestNilCeilingBoundsNothing(t *testing.T) {
	var c *Ceiling
	c.NoteSent(0, 1<<30)
	if _, limited := c.Room(0); limited || c.Wait(0, 1<<30) != 0 {
		t.Error("a nil Ceiling bounds")
	}
}

func TestCeilingOutlivesPausesAndClocksThatRunBackwards(t *testing.T) {
	c := NewCeiling(600_000)
	for _, now := range []time.Duration{time.Hour, 0, 100 * time.Hour, 100*time.Hour + time.Second, 1 << 62} {
		c.NoteSent(now, 1000)
		if room, _ := c.Room(now); room < 156_000-3000 || room > 156_000-1000 {
			t.Errorf("at %v: room for %d bytes", now, room)
		}
	}
}
