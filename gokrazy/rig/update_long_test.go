//go:build long

// The rest of the faults that a board must survive, and many updates in a row.

package rig

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

func initHangs(t *testing.T, c content) content  { return c.withFault(t, "gokrazy/init", "hang") }
func initPanics(t *testing.T, c content) content { return c.withFault(t, "gokrazy/init", "panic") }
func noNetwork(t *testing.T, c content) content  { return c.withFault(t, "gokrazy/dhcp", "hang") }
func sourceHangs(t *testing.T, c content) content {
	return c.withFault(t, "user/camsource", "hang")
}

// noInit makes the kernel panic: the last init= counts.
func noInit(_ *testing.T, c content) content {
	line := bytes.TrimRight(c.boot[card.CmdlineName], " \n")
	return c.withBoot(card.CmdlineName, fmt.Appendf(nil, "%s init=/none\n", line)).withMark("no init")
}

// kernelHangs puts a branch to itself in the place of the kernel's first jump (arm64's boot protocol,
// Documentation/arch/arm64/booting.rst: code1).
func kernelHangs(_ *testing.T, c content) content {
	const branchToSelf = 0x14000000
	kernel := bytes.Clone(c.boot[board.KernelName])
	binary.LittleEndian.PutUint32(kernel[4:], branchToSelf)
	return c.withBoot(board.KernelName, kernel).withMark("kernel hangs")
}

// damagedBlock flips bytes in camsource's blocks from its middle on: a board looks at the beginning of its
// programs only, before it starts them.
func damagedBlock(t *testing.T, c content) content {
	c = c.withMark("damaged")
	changed, err := disk.SquashFS(c.withRootFile(t, "user/camsource", func(b []byte) { b[len(b)/2] ^= 0xff }).root)
	if err != nil {
		t.Fatal(err)
	}
	c.damage = func(root []byte) {
		const superblock = 96 // which has the size of all
		from := superblock
		for root[from] == changed[from] {
			from++
		}
		for i := from; i < from+1<<20; i += 4096 {
			root[i] ^= 0xff
		}
	}
	return c
}

// driverDamaged makes the camera's driver one of another machine (ELF-64's e_machine), by which the kernel
// does not load it.
func driverDamaged(t *testing.T, c content) content {
	return c.withRootFile(t, "/uvcvideo.ko", func(b []byte) {
		binary.LittleEndian.PutUint16(b[18:], uint16(elf.EM_386))
	})
}

// driverOfAnotherKernel has the release of this one, and was built with other options (linux/vermagic.h).
func driverOfAnotherKernel(t *testing.T, c content) content {
	return c.withRootFile(t, "/uvcvideo.ko", func(b []byte) {
		at := bytes.Index(b, []byte("vermagic="))
		end := bytes.IndexByte(b[max(at, 0):], 0)
		if at < 0 || end < 1 {
			t.Fatal("uvcvideo.ko has no vermagic")
		}
		b[at+end-1] ^= 1
	})
}

func TestEveryFaultOfANewVersionLeadsBackInVM(t *testing.T) {
	leadBack(t, "rpi", []badVersion{
		{"v-init-exits", initExits, ""},
		{"v-init-panics", initPanics, ""},
		{"v-kernel-panics", noInit, ""},
		{"v-kernel-hangs", kernelHangs, ""}, // played: vm is the watchdog
		{"v-init-hangs", initHangs, ""},     // a watchdog of QEMU's ends it
		{"v-source-exits", sourceExits, "ended"},
		{"v-source-hangs", sourceHangs, "camsource hung 2 times"},
		{"v-no-network", noNetwork, "before the update it had"},
		{"v-refused", marked, "before the update it had"},
		{"v-driver-damaged", driverDamaged, "before the update it had"},
		{"v-other-driver", driverOfAnotherKernel, "before the update it had"},
		{"v-damaged-block", damagedBlock, ""},
	})
}

// leadBack sends each version to a board of its own, which has to go back.
func leadBack(t *testing.T, boardName string, versions []badVersion) {
	t.Helper()
	for _, bad := range versions {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel() // most wait for minutes, without a stream
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
			defer cancel()
			u := newUpdatable(t, flashedImage(t, boardName))
			u.refused = "v-refused"                                  // the gateway is there for the old version alone
			u.start(ctx, t, vm.Config{Watchdog: boardName == "rpi"}) // a BeagleBone's image has one in software
			u.fallsBack(ctx, t, bad)
		})
	}
}

func marked(_ *testing.T, c content) content { return c.withMark("another version") }

func TestASlotThatLacksSomethingIsRefusedInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	good := u.signer.bundle(t, u.content.withMark("lacks"), "v-lacks")
	for _, name := range []string{board.KernelName, "bcm2711-rpi-4-b.dtb", "overlays/README", card.CmdlineName} {
		lacking := u.signer.vary(t, good, without(update.BootPrefix+name))
		u.refuses(ctx, t, "a slot without "+name, lacking, name+" is missing")
	}
	c := u.content
	c.root = slices.DeleteFunc(slices.Clone(c.root), func(e disk.Entry) bool {
		return strings.HasSuffix(e.Path, "/uvcvideo.ko")
	})
	u.refuses(ctx, t, "a root without its driver", u.signer.bundle(t, c, "v-no-driver"), "uvcvideo.ko is missing")
	c = u.content
	c.root = slices.Clone(c.root)
	for i, e := range c.root {
		c.root[i].Path = strings.Replace(e.Path, "6.12.", "6.13.", 1)
	}
	u.refuses(ctx, t, "modules of another kernel", u.signer.bundle(t, c, "v-modules"), "no modules of kernel 6.12.")
}

// updatesInARow is how many one board takes, good and bad by turns.
const updatesInARow = 40

func TestFortyUpdatesInARowEachEndWhereTheyShouldInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Hour)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.start(ctx, t, vm.Config{Watchdog: true})
	u.streams(ctx, t, "a")
	bad := []func(*testing.T, content) content{initExits, sourceExits, initHangs, initPanics}
	slot, version := "a", ""
	for i := range updatesInARow {
		name := fmt.Sprintf("v-%02d", i)
		c, want := u.content.withMark(name), remote.ResultPromoted
		if i%2 == 1 {
			c, want = bad[i/2%len(bad)](t, u.content), remote.ResultFellBack
		}
		u.mustUpdate(ctx, t, u.signer.bundle(t, c, name), want)
		if want == remote.ResultPromoted {
			slot, version = map[string]string{"a": "b", "b": "a"}[slot], name
		}
		if s := u.streams(ctx, t, slot); s.Version != version {
			t.Fatalf("after update %d the board runs %s, want %s", i, s.Version, version)
		}
		t.Logf("FIGURE rpi: %d updates of %d ended where they should", i+1, updatesInARow)
	}
}

// What goes out while a version is on trial is not held against it. Without the cable the owner cannot ask the
// board either, so that the cable is plugged in once the board has said on its console what became of the try.
func TestAnOutageDuringATrialIsNotJudgedInVM(t *testing.T) {
	for name, outage := range map[string]struct {
		begin, end func(u *updatable)
		blind      bool // the owner cannot ask the board meanwhile
	}{
		"gateway": {func(u *updatable) { u.outage.Store(true) }, func(u *updatable) { u.outage.Store(false) }, false},
		"cable":   {func(u *updatable) { _ = u.SetLink(false) }, func(u *updatable) { _ = u.SetLink(true) }, true},
		"camera":  {func(u *updatable) { u.Unplug() }, func(u *updatable) { _ = u.Plug() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for most of its time
			ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
			defer cancel()
			u := newUpdatable(t, flashedImage(t, "rpi"))
			u.start(ctx, t, vm.Config{})
			u.streams(ctx, t, "a")
			b := u.signer.bundle(t, u.content.withMark(name), "v-good")
			notJudged := make(chan error, 1)
			go func() {
				_, err := u.WaitLine(ctx, regexp.MustCompile("update v-good is not judged"))
				if outage.blind {
					outage.end(u)
				}
				notJudged <- err
			}()
			o, err := u.client.Update(ctx, b, func(p remote.Progress) {
				if p.Step == remote.StepRestarting {
					outage.begin(u)
				}
			})
			seen := o.Result == remote.ResultNotJudged || outage.blind && o.Result == remote.ResultPromoted
			if err != nil || !seen {
				t.Fatalf("update = %+v, %v, want not judged", o, err)
			}
			if err := <-notJudged; err != nil {
				t.Fatal(err)
			}
			outage.end(u)
			began := time.Now()
			if s := u.streams(ctx, t, "b"); s.Version != "v-good" || s.Trial == nil ||
				s.Trial.State != control.StatePromoted {
				t.Errorf("after the outage the board runs %s, trial %+v, want v-good promoted", s.Version, s.Trial)
			}
			t.Logf("FIGURE rpi: %s out during a trial: not judged (%s), promoted %.0f s later", name, o.Result,
				time.Since(began).Seconds())
		})
	}
}

// The whole of a slot is written here, kernel included; 10 of the cards are booted.
func TestFiveHundredPowerCutsLeaveAWholeSlotInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	r := &recording{before: u.card + ".before", log: u.card + ".writes"}
	copyImage(t, r.before, u.card)
	u.start(ctx, t, vm.Config{WriteLog: r.log})
	r.kept = []string{u.streams(ctx, t, "a").Version, "v-good"}
	good := u.content.withMark("good").withBoot(board.KernelName, append(u.content.boot[board.KernelName], 0))
	u.mustUpdate(ctx, t, u.signer.bundle(t, good, "v-good"), remote.ResultPromoted)
	u.streams(ctx, t, "b")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	played := r.checkCuts(t, 500)
	for i := range 10 {
		u.startsAfter(ctx, t, r, played[i*len(played)/10+len(played)/20])
	}
}

// The power goes while the slot is written, before the trial, and during the trial that the board begins by
// itself after that; then the owner sends the version again.
func TestThreePowerCutsInOneUpdateInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	b := u.signer.bundle(t, u.content.withMark("good"), "v-good")
	for _, step := range []string{remote.StepWriting, remote.StepRestarting} {
		u.start(ctx, t, vm.Config{})
		u.streams(ctx, t, "a")
		u.cutAt(ctx, t, b, step)
	}
	u.start(ctx, t, vm.Config{})
	if _, err := u.WaitLine(ctx, regexp.MustCompile("v-good is on trial in slot b")); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "")
	o, err := u.client.Update(ctx, b, nil)
	if err != nil || o.Result != remote.ResultPromoted && o.Result != remote.ResultAlready {
		t.Fatalf("the update after three cuts: %+v, %v", o, err)
	}
	if s := u.streams(ctx, t, "b"); s.Version != "v-good" {
		t.Errorf("the board runs %s, want v-good", s.Version)
	}
	t.Logf("FIGURE rpi: three power cuts in one update: v-good runs for good %.0f s after the last power on",
		time.Since(began).Seconds())
}

// cutAt sends a bundle and pulls the power at a step of its update.
func (u *updatable) cutAt(ctx context.Context, t *testing.T, b *update.Bundle, step string) {
	t.Helper()
	reached := make(chan struct{})
	var once sync.Once
	sending, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := u.client.Update(sending, b, func(p remote.Progress) {
			if p.Step == step {
				once.Do(func() { close(reached) })
			}
		})
		ended <- err
	}()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("the update ended before it was %s: %v", step, err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
}
