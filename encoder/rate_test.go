// The bitrate while pictures are left out.

package encoder

import (
	"math/rand/v2"
	"testing"
)

// A gapPattern says which pictures of a camera of 30 a second are left out.
type gapPattern struct {
	name      string
	leavesOut func(picture int, rng *rand.Rand) bool
}

func gapPatterns() []gapPattern {
	inBurst := false
	return []gapPattern{
		{"none", func(int, *rand.Rand) bool { return false }},
		{"10 % at random", func(_ int, rng *rand.Rand) bool { return rng.Float64() < 0.1 }},
		{"20 % at random", func(_ int, rng *rand.Rand) bool { return rng.Float64() < 0.2 }},
		{"30 % at random", func(_ int, rng *rand.Rand) bool { return rng.Float64() < 0.3 }},
		{"50 % at random", func(_ int, rng *rand.Rand) bool { return rng.Float64() < 0.5 }},
		{"every second", func(n int, _ *rand.Rand) bool { return n%2 == 1 }},
		{"every fourth", func(n int, _ *rand.Rand) bool { return n%4 == 3 }},
		{"five of each ten", func(n int, _ *rand.Rand) bool { return n%10 >= 5 }},
		{"bursts", func(_ int, rng *rand.Rand) bool {
			if rng.Float64() < 0.1 {
				inBurst = !inBurst
			}
			return inBurst
		}},
		{"one second of each three", func(n int, _ *rand.Rand) bool { return n%90 < 30 }},
	}
}

// A busy board leaves out pictures. The bits of those that are left are those of the time.
func TestMeanRateIsThatAskedForAtAnyPatternOfGaps(t *testing.T) {
	const seconds = 12
	config := Config{Width: 320, Height: 240, FPS: 30, Bitrate: 200_000, Speed: -12}
	for _, pattern := range gapPatterns() {
		e, p := openEncoder(t, config), newPicture(config.Width, config.Height)
		rng := rand.New(rand.NewPCG(1, 2))
		frames, bits, quality := 0, 0.0, 0.0
		for i := range 30 * seconds {
			if pattern.leavesOut(i, rng) {
				continue
			}
			drawPattern(p, i)
			f, err := e.Encode(p, captureTime(i), false)
			if err != nil {
				t.Fatal(err)
			}
			psnr, err := e.MeasurePSNR(p)
			if err != nil {
				t.Fatal(err)
			}
			frames++
			bits += float64(8 * len(f.Bytes))
			quality += psnr
		}
		rate := bits / seconds
		if most := 1.03 * float64(config.Bitrate); rate > most {
			t.Errorf("%s: %.0f bit/s, want at most %.0f", pattern.name, rate, most)
		}
		t.Logf("FIGURE left out %s: %.0f kbit/s, a frame of %.0f bytes, %.2f dB", pattern.name,
			rate/1000, bits/8/float64(frames), quality/float64(frames))
	}
}

// A key frame may fill half of libvpx's buffer, 300 ms, however long the gap before it was. Its
// target is libvpx's own; what noise makes of it is not looked at here.
func TestKeyFrameAfterAGapHasNotTheBitsOfTheGap(t *testing.T) {
	for _, c := range []struct{ intervals, percent int }{{1, 900}, {2, 450}, {6, 150}, {8, 150}} {
		e := openEncoder(t, vga)
		p := newPicture(640, 480)
		for i := range 10 {
			drawPattern(p, i)
			if _, err := e.Encode(p, captureTime(i), false); err != nil {
				t.Fatal(err)
			}
		}
		f, err := e.Encode(p, captureTime(9+c.intervals), true)
		if err != nil || !f.Key {
			t.Fatalf("no key frame: %v", err)
		}
		if got := e.maxIntraOf(int64(c.intervals) * e.clock.interval); got != c.percent {
			t.Errorf("after %d intervals a key frame may have %d %%, want %d", c.intervals, got, c.percent)
		}
		t.Logf("FIGURE key frame after %d intervals: %d bytes, %.1f times the mean", c.intervals, len(f.Bytes),
			float64(len(f.Bytes))/2500)
	}
}
