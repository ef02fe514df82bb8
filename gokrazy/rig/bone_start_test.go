// How long the BeagleBone's image takes to start, counted in instructions. What else the
// machine does that runs QEMU has a part in it only where the guest waits for the camera, the
// gateway or the card: its time jumps on while they are held up.

package rig

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const (
	// boneClock makes each instruction take 2 ns (2^1), as on a core of 1 GHz that needs
	// two cycles for one. Where the guest waits, time passes as it does here: with sleep=off it
	// would jump to the guest's next timer, and nothing ticks every second any more.
	boneClock = "shift=1,sleep=on,align=off"
	// boneEarly is for watchdog, storage and file systems: 135 ms, and 566 if the kernel
	// checked their signatures.
	boneEarly = 250 * time.Millisecond
	// boneStart is from the kernel's start to the first packet.
	boneStart = 5500 * time.Millisecond
)

// boneKernel is how long the kernel takes from its first line to process 1 by the clock of two idle
// x86 cores. What the guest waits for, the card and the far end, is served by this machine while
// the guest's time jumps on: the slower the machine, the farther.
const boneKernel = 800 * time.Millisecond

// boneStarts is how often it starts until one is within its limits: an image that is too slow
// is so each time.
const boneStarts = 3

func TestBoneStartsWithinItsInstructionsInVM(t *testing.T) {
	image := builtBone(t)
	for try := 1; ; try++ {
		slow := startBone(t, image)
		if len(slow) == 0 {
			return
		}
		t.Logf("start %d of %d: %s", try, boneStarts, strings.Join(slow, "; "))
		if try == boneStarts {
			t.Fatalf("no start of %d was within its limits", boneStarts)
		}
	}
}

// startBone starts the image once and says which step took too long.
func startBone(t *testing.T, image string) (slow []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	g := &rig{board: "bbb", source: stampedFace(t), tap: newTap(t)}
	g.startFarEnd(t, nil)
	var err error
	g.Machine, err = vm.Start(ctx, vm.Config{
		Image: image, Snapshot: true, Seed: g.seed(t), Camera: virtualcam.New(g.source),
		QEMUArgs: []string{"-icount", boneClock},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	slower := g.calibrateByOurClock(ctx, t, boneKernel)
	for _, step := range []struct {
		what string
		line *regexp.Regexp
		unit string
		most time.Duration
	}{
		{"modules for the root", regexp.MustCompile(`preinit READY .* load=(\d+)ms`), "ms", boneEarly},
		{"from the kernel's start to the first RTP packet",
			regexp.MustCompile(`camsource READY .*uptime=([0-9.]+)`), "s", boneStart},
	} {
		line, err := g.WaitLine(ctx, step.line)
		if err != nil {
			t.Fatal(err)
		}
		took, err := time.ParseDuration(step.line.FindStringSubmatch(line.Text)[1] + step.unit)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("FIGURE bbb on a core of 500 million instructions a second: %s %.3f s", step.what, took.Seconds())
		if most := slower.limit(step.most); took > most {
			slow = append(slow, fmt.Sprintf("%s took %v, want %v at most", step.what, took, most))
		}
	}
	return slow
}
