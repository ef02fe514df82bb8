// A bad version on boards whose slot U-Boot chooses: the real one, on a BeagleBone's image and on a Pi 3.

package rig

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/vm"
)

func TestABadVersionFallsBackOnABeagleBoneInVM(t *testing.T) {
	t.Parallel() // with the other board: each machine keeps one core busy
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	builtBone(t)
	u := newUpdatable(t, flashedImage(t, "bbb"))
	u.start(ctx, t, vm.Config{})
	u.fallsBack(ctx, t, badVersion{"v-init-exits", initExits, ""})
	// QEMU's board has no serial number to be named by.
	if s := u.streams(ctx, t, "a"); !regexp.MustCompile(`^krazycam-[0-9a-f]{6}$`).MatchString(s.Hostname) {
		t.Errorf("the board calls itself %q", s.Hostname)
	}
}

func TestUBootTriesASlotOnceAndGoesBackOnAPi3InVM(t *testing.T) {
	t.Parallel() // with the other board: each machine keeps one core busy
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.stage(t, initExits(t, u.content), "v-init-exits", 2) // its last try
	u.start(ctx, t, vm.Config{Machine: vm.MachinePi3})
	for _, step := range []string{
		`^krazycam: slot b`,                 // U-Boot starts what is to be tried
		`Run /gokrazy/init as init process`, // its kernel, and its root, whose init exits
		`Kernel panic`,
		`^vm: played: the kernel wants a reset`,
		`^krazycam: slot a`,
		`camsource READY`,
	} {
		line, err := u.WaitLine(ctx, regexp.MustCompile(step))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("FIGURE rpi on a Pi 3: power on + %.1f s: %s", line.At.Sub(u.Lines()[0].At).Seconds(), line.Text)
	}
	if u.Boots() != 2 {
		t.Errorf("%d boots, want 2", u.Boots())
	}
	if s := u.streams(ctx, t, "a"); s.Promoted != "a" || s.Failed == nil || s.Failed.Version != "v-init-exits" {
		t.Errorf("promoted is slot %s, failed %+v; want a, and v-init-exits", s.Promoted, s.Failed)
	}
}
