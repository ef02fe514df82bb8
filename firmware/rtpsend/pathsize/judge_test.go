package pathsize

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A trace plays a talking head of 600 kbit/s, 30 fps, through a path: key frames of 12 KB every 5 s and
// on request, frames of 0.6 to 3.2 KB, in packets of equal size of at most 1,200 bytes.
type trace struct {
	judge Judge
	rng   *rand.Rand
	at    time.Duration
}

// play says after how long size is found to be the cause; 0: it is not, within length.
func (tr *trace) play(length time.Duration, lost func(at time.Duration, size int) bool) time.Duration {
	keyAt := time.Duration(0)
	broken := true
	for tr.at = 0; tr.at < length; tr.at += time.Second / 30 {
		bytes := 600 + tr.rng.IntN(2600)
		if key := tr.at-keyAt > 5*time.Second || broken && tr.at-keyAt > time.Second; key {
			bytes, keyAt, broken = 12_000, tr.at, false
		}
		packets := (bytes + 1199) / 1200
		for i := range packets {
			size := bytes/packets + 40
			at := tr.at + time.Duration(i)*time.Millisecond
			if lost(at, size) {
				broken = true
				tr.judge.NoteLoss(at, size)
			} else if tr.judge.NoteArrival(at, size) > 0 {
				return tr.at
			}
		}
	}
	return 0
}

func TestBlackHoleIsFoundWithinSeconds(t *testing.T) {
	// Below 800 hardly any packet arrives, the rate falls, and with it the size of packets.
	for _, mtu := range []int{800, 900, 1000, 1100, 1200} {
		for _, chance := range []float64{0, 0.02, 0.1} {
			tr := trace{rng: rand.New(rand.NewPCG(1, uint64(mtu)))}
			took := tr.play(time.Minute, func(_ time.Duration, size int) bool {
				return size > mtu || tr.rng.Float64() < chance
			})
			if took == 0 || took > 8*time.Second {
				t.Errorf("MTU %d with %v loss besides: found after %v, want 8 s at most", mtu, chance, took)
			}
			t.Logf("MTU %d, %v lost by chance: %v", mtu, chance, took)
		}
	}
}

// onAndOff loses a share of the packets of some time, and none of some more; both last longer or
// shorter than their mean by chance, as where a radio is disturbed.
func onAndOff(on, off time.Duration, share float64, rng *rand.Rand) func(time.Duration) bool {
	isOff, until := true, time.Duration(0)
	return func(at time.Duration) bool {
		for at >= until {
			isOff = !isOff
			mean := on
			if isOff {
				mean = off
			}
			until += time.Duration(rng.ExpFloat64() * float64(mean))
		}
		return isOff && rng.Float64() < share
	}
}

func TestRadioThatIsDisturbedIsSeldomTakenForSize(t *testing.T) {
	const streams, length = 20, 30 * time.Minute
	for _, c := range []struct {
		on, off time.Duration
		share   float64
	}{
		{5 * time.Second, 200 * time.Millisecond, 0.9},
		{2 * time.Second, 50 * time.Millisecond, 0.9},
		{time.Second, 100 * time.Millisecond, 0.9},
		{time.Second, 30 * time.Millisecond, 0.9},
		{3 * time.Second, 100 * time.Millisecond, 0.9},
		{5 * time.Second, 500 * time.Millisecond, 1},
		{time.Second, 100 * time.Millisecond, 0.5},
	} {
		wrong := 0
		for seed := range uint64(streams) {
			tr := trace{rng: rand.New(rand.NewPCG(seed, 3))}
			lost := onAndOff(c.on, c.off, c.share, tr.rng)
			if tr.play(length, func(at time.Duration, _ int) bool { return lost(at) }) != 0 {
				wrong++
			}
		}
		t.Logf("%v on, %v off, %v lost: %d of %d streams of %v", c.on, c.off, c.share, wrong, streams, length)
		if wrong > streams/5 {
			t.Errorf("%v on, %v off, %v lost: %d of %d streams of %v are taken for a black hole",
				c.on, c.off, c.share, wrong, streams, length)
		}
	}
}

func TestLossOfOtherCausesIsNotTakenForSize(t *testing.T) {
	down := func(at, every, length time.Duration) bool { return at%every < length }
	for _, c := range []struct {
		name string
		lost func(rng *rand.Rand, at time.Duration, size int) bool
	}{
		{"nothing", func(*rand.Rand, time.Duration, int) bool { return false }},
		{"1 %", func(r *rand.Rand, _ time.Duration, _ int) bool { return r.Float64() < 0.01 }},
		{"10 %", func(r *rand.Rand, _ time.Duration, _ int) bool { return r.Float64() < 0.1 }},
		{"30 %", func(r *rand.Rand, _ time.Duration, _ int) bool { return r.Float64() < 0.3 }},
		{"10 % of bytes: long packets are lost more often", func(r *rand.Rand, _ time.Duration, size int) bool {
			return r.Float64() < float64(size)/8000
		}},
		{"an outage of 2 s each 10 s", func(_ *rand.Rand, at time.Duration, _ int) bool {
			return down(at, 10*time.Second, 2*time.Second)
		}},
		{"gaps of 100 ms each 1.37 s", func(_ *rand.Rand, at time.Duration, _ int) bool {
			return down(at, 1370*time.Millisecond, 100*time.Millisecond)
		}},
		{"the end of each burst: a queue of four packets", func(_ *rand.Rand, at time.Duration, _ int) bool {
			return at%(time.Second/30) >= 4*time.Millisecond
		}},
		{"everything", func(*rand.Rand, time.Duration, int) bool { return true }},
	} {
		for seed := range uint64(20) {
			tr := trace{rng: rand.New(rand.NewPCG(seed, 7))}
			if took := tr.play(5*time.Minute, func(at time.Duration, size int) bool {
				return c.lost(tr.rng, at, size)
			}); took != 0 {
				t.Errorf("%s, seed %d: taken for a black hole after %v", c.name, seed, took)
			}
		}
	}
}
