//go:build long

// Good and bad versions on the boards whose slot U-Boot chooses.

package rig

import (
	"context"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

func TestABeagleBoneKeepsAGoodVersionAndLeavesBadOnesInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	builtBone(t)
	u := newUpdatable(t, flashedImage(t, "bbb"))
	u.start(ctx, t, vm.Config{})
	for _, bad := range []badVersion{
		{"v-init-hangs", initHangs, ""}, // the watchdog in software ends it
		{"v-source-exits", sourceExits, "ended"},
	} {
		u.fallsBack(ctx, t, bad)
	}
	u.mustUpdate(ctx, t, u.signer.bundle(t, u.content.withMark("good"), "v-good"), remote.ResultPromoted)
	if s := u.streams(ctx, t, "b"); s.Version != "v-good" || s.Promoted != "b" {
		t.Errorf("the board runs %s, promoted %s, want v-good", s.Version, s.Promoted)
	}
}

// The other faults of a root, without those of the kernel's drivers, which are in a BeagleBone's initramfs.
func TestEveryFaultOfABeagleBonesNewVersionLeadsBackInVM(t *testing.T) {
	builtBone(t)
	leadBack(t, "bbb", []badVersion{
		{"v-init-panics", initPanics, ""},
		{"v-no-init", noInit, ""}, // the initramfs restarts the board
		{"v-source-hangs", sourceHangs, "camsource hung 2 times"},
		{"v-no-network", noNetwork, "before the update it had"},
		{"v-refused", marked, "before the update it had"},
		{"v-damaged-block", damagedBlock, ""},
	})
}

// The root lies in the spool already: an owner sends the rest, which is the manifest.
func TestAPi3KeepsAGoodVersionInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	b := u.signer.bundle(t, u.content.withMark("good"), "v-good")
	u.spool(t, b)
	u.start(ctx, t, vm.Config{Machine: vm.MachinePi3})
	u.streams(ctx, t, "a")
	began := time.Now()
	var restarts time.Time
	u.tap.forgetGap()
	o, err := u.client.Update(ctx, b, func(p remote.Progress) {
		if p.Step == remote.StepRestarting && restarts.IsZero() {
			restarts = time.Now()
		}
	})
	if err != nil || o.Result != remote.ResultPromoted {
		t.Fatalf("update: %+v, %v", o, err)
	}
	t.Logf("FIGURE rpi on a Pi 3: promoted after %.1f s, %d bytes sent, slot written in %.1f s, no packet for %.1f s "+
		"at most", time.Since(began).Seconds(), o.Sent, restarts.Sub(began).Seconds(), u.tap.longestGap().Seconds())
	if s := u.streams(ctx, t, "b"); s.Version != "v-good" || s.Promoted != "b" {
		t.Errorf("the board runs %s, promoted %s, want v-good", s.Version, s.Promoted)
	}
}

func TestAKernelThatPanicsLeadsBackOnAPi3InVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.stage(t, initPanics(t, u.content), "v-panics", 1)
	u.start(ctx, t, vm.Config{Machine: vm.MachinePi3})
	s := u.streams(ctx, t, "a")
	t.Logf("FIGURE rpi on a Pi 3: streams from the old slot %.0f s after the trial began; failed: %+v",
		time.Since(u.Lines()[0].At).Seconds(), s.Failed)
	// The board cannot tell a panic from a power cut: it tries twice, and is back twice.
	if s.Promoted != "a" || s.Failed == nil || s.Failed.Version != "v-panics" || u.Boots() != 4 {
		t.Errorf("promoted %s, failed %+v, %d boots: want slot a, v-panics, 4", s.Promoted, s.Failed, u.Boots())
	}
}
