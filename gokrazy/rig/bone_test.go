// The rig with a BeagleBone's image: U-Boot of the same source as the board's runs the
// image's own boot script; nothing of the image is changed for it.

package rig

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// builtBone is the path of the image that scripts/image bbb made.
func builtBone(t *testing.T) string {
	t.Helper()
	const path = "../../out/bbb.img"
	need.Tools(t, "qemu-system-arm")
	for _, needed := range []string{path, vm.UBootFile} {
		need.File(t, needed, "scripts/image bbb, scripts/setup")
	}
	return path
}

func TestBoneStreamsThroughUBootToIndependentDecodersInVM(t *testing.T) {
	image := builtBone(t)
	before := hashOf(t, image)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	g := startRig(ctx, t, image)
	g.checkStart(ctx, t)
	g.sayBootSteps(t)
	g.checkStream(ctx, t)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g.checkEveryFrame(t)
	g.stopDecoders()
	g.checkWire(t)
	if after := hashOf(t, image); after != before {
		t.Errorf("sha256 of the image = %s afterwards, %s before", after, before)
	}
}

// checkEveryFrame is for the time after the stream. ffmpeg was there before its first packet,
// so that it has to show each frame from the first key frame on, to the last one. It holds two
// back until the stream ends, which a BYE tells it.
func (g *rig) checkEveryFrame(t *testing.T) {
	t.Helper()
	ffmpeg, rtp := g.decoders[1], g.tap.to[1]
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	// ffmpeg reads RTCP before RTP: a BYE must not come while packets wait there.
	still := 0
	seen, end := -1, time.Now().Add(g.slower.limit(5*time.Second))
	for ; still < 10 && time.Now().Before(end); <-tick.C {
		still++
		if n := len(ffmpeg.sightings()); n != seen || n < g.tap.counted().frames-3 {
			seen, still = n, 0
		}
	}
	// After a report: RFC 3550 sections 6.1, 6.6.
	bye := []byte{0x80, 201, 0, 1, 0, 0, 0, 0, 0x81, 203, 0, 1, 0, 0, 0, 0}
	if _, err := g.tap.out.WriteToUDPAddrPort(bye, netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(g.slower.limit(5 * time.Second)); len(ffmpeg.sightings()) < g.tap.counted().frames &&
		time.Now().Before(deadline); {
		<-tick.C
	}
	decoded, sent := len(ffmpeg.sightings()), g.tap.counted().frames
	t.Logf("FIGURE bbb: %s decoded %d of %d frames", ffmpeg.name, decoded, sent)
	if decoded != sent || sent == 0 {
		t.Errorf("%s decoded %d frames, the board sent %d", ffmpeg.name, decoded, sent)
	}
}

// bootSteps are lines of the console between power on and the stream.
var bootSteps = []struct {
	what string
	line *regexp.Regexp
}{
	{"our boot script runs", regexp.MustCompile(`^krazycam: .* boots from virtio 0:1`)},
	{"U-Boot starts the kernel", regexp.MustCompile(`^Starting kernel`)},
	{"the kernel is unpacked", regexp.MustCompile(`Booting Linux on physical CPU`)},
	{"root mounted, modules for it loaded", regexp.MustCompile(`preinit READY .*failed=0`)},
	{"camsource's log is on the console", regexp.MustCompile(`level=INFO msg="camera open" `)},
	{"all modules loaded", regexp.MustCompile(`preinit LOADED .*failed=0`)},
}

// sayBootSteps fails if a step is missing: each was taken by the code that ships.
func (g *rig) sayBootSteps(t *testing.T) {
	t.Helper()
	lines := g.Lines()
	for _, step := range bootSteps {
		found := false
		for _, l := range lines {
			if found = step.line.MatchString(l.Text); found {
				t.Logf("FIGURE bbb power on (QEMU) + %.2f s: %s: %s", l.At.Sub(g.Started()).Seconds(), step.what,
					l.Text)
				break
			}
		}
		if !found {
			t.Errorf("the console has no line for: %s", step.what)
		}
	}
	for _, l := range lines {
		if strings.Contains(l.Text, "module not loaded") || strings.Contains(l.Text, "modules of the initramfs") {
			t.Error(l.Text)
		}
	}
}
