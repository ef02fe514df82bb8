// How much slower than the machine on which the rig's thresholds were measured this one is at
// playing a board. Limits on time and frame rate are scaled by it; order, bytes and loss never are.

package rig

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/vm"
)

// kernelTimes is how long the kernel of a board's image takes from its first instruction to
// process 1 on two idle x86 cores, by its own clock. It is a measure of the emulator alone:
// nothing of ours runs before process 1.
var kernelTimes = map[string]time.Duration{
	"rpi": 1700 * time.Millisecond,
	"bbb": 850 * time.Millisecond,
}

// processOne is the kernel's line about it, with the seconds since its start.
var processOne = regexp.MustCompile(`^\[ *([0-9.]+)\] Run \S+ as init process`)

// A calibration is a factor: 3 is a machine on which the board takes three times as long.
type calibration float64

// noise is what an idle machine differs from itself: below it nothing is scaled.
const noise = 1.25

// calibrate reads the factor off the board's own start, so that it holds for this emulator, in
// this run, beside whatever else this machine does.
func (g *rig) calibrate(t *testing.T) calibration {
	t.Helper()
	for _, l := range g.Lines() {
		m := processOne.FindStringSubmatch(l.Text)
		if m == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatalf("%s: %v", l.Text, err)
		}
		c := calibrated(time.Duration(seconds*float64(time.Second)), kernelTimes[g.board])
		t.Logf("FIGURE %s: calibration: the kernel took %.2f s to process 1, %v here: "+
			"limits on time and rate are scaled by %.2f",
			g.board, seconds, kernelTimes[g.board], float64(c))
		return c
	}
	t.Fatal("the console has no line of the kernel about process 1")
	return 1
}

// calibrateByOurClock waits until the board's kernel starts process 1 and compares the time since
// its first line with the reference. It is for a guest whose own clock counts instructions.
func (g *rig) calibrateByOurClock(ctx context.Context, t *testing.T, reference time.Duration) calibration {
	t.Helper()
	first, err := g.WaitLine(ctx, regexp.MustCompile(`Booting Linux on physical CPU`))
	if err != nil {
		t.Fatal(err)
	}
	last, err := g.WaitLine(ctx, processOne)
	if err != nil {
		t.Fatal(err)
	}
	took := last.At.Sub(first.At)
	c := calibrated(took, reference)
	t.Logf("FIGURE %s: calibration: the kernel took %.2f s to process 1 by this machine's clock, %v here: "+
		"limits on time are scaled by %.2f", g.board, took.Seconds(), reference, float64(c))
	return c
}

func calibrated(took, reference time.Duration) calibration {
	factor := calibration(took) / calibration(reference)
	if factor < noise {
		return 1
	}
	return factor
}

// limit scales the longest time that something may take.
func (c calibration) limit(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(c))
}

// minFPS is the least rate that a board may decode a camera of 30 pictures a second at. A board
// that is too slow for all pictures encodes every second or every third (package overload), so the
// rate falls in steps: 12 and 8 are four fifths of 15 and 10. Below that the camera, which a
// program plays on the same machine, is too slow as well.
func (c calibration) minFPS() float64 {
	if c < noise {
		return rigMinFPS
	}
	return min(12, 16/float64(c))
}

// smallerPictures says that the board was too slow even for every third picture and halved their
// sides, as it should: they cannot be compared with the camera's.
func (g *rig) smallerPictures() bool {
	if g.slower < noise {
		return false
	}
	full := fmt.Sprintf("size=%dx%d", rigSize.Width, rigSize.Height)
	return slices.ContainsFunc(g.Lines(), func(l vm.Line) bool {
		return strings.Contains(l.Text, `msg="load changes the stream"`) && !strings.Contains(l.Text, full)
	})
}

func TestCalibrationScalesTimesAndRates(t *testing.T) {
	for _, c := range []struct {
		name   string
		took   time.Duration // of 2 s
		minFPS float64
		limit  time.Duration // of 60 ms
	}{
		{"a faster machine gets no stricter limits", time.Second, 25, 60 * time.Millisecond},
		{"noise scales nothing", 2400 * time.Millisecond, 25, 60 * time.Millisecond},
		{"a little slower costs every second picture", 2600 * time.Millisecond, 12, 78 * time.Millisecond},
		{"twice as slow may cost two of three", 4 * time.Second, 8, 120 * time.Millisecond},
		{"four times", 8 * time.Second, 4, 240 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := calibrated(c.took, 2*time.Second)
			if got.minFPS() != c.minFPS || got.limit(60*time.Millisecond) != c.limit {
				t.Errorf("minFPS = %v, limit = %v, want %v and %v", got.minFPS(), got.limit(60*time.Millisecond),
					c.minFPS, c.limit)
			}
		})
	}
}

func TestCalibrationReadsTheKernelsLine(t *testing.T) {
	m := processOne.FindStringSubmatch("[    2.150736] Run /gokrazy/init as init process")
	if m == nil || m[1] != "2.150736" {
		t.Errorf("match = %q, want 2.150736", m)
	}
}
